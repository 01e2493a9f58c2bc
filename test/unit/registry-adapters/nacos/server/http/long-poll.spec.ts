import { expect } from 'chai'
import { systemClock } from '../../../../../../contracts/clock.ts'
import type { ConfigKey } from '../../../../../../registry-adapters/nacos/server/backend.ts'
import { NacosFault, overLimit } from '../../../../../../registry-adapters/nacos/server/fault.ts'
import { LongPolls, parseListening } from '../../../../../../registry-adapters/nacos/server/http/long-poll.ts'
import { ConfigStore } from '../../../../../../registry-adapters/nacos/embedded/config-store.ts'
import { contentMd5 } from '../../../../../../registry-adapters/nacos/server/config-key.ts'
import { eventually } from '../../../../../support/registry-listener.ts'

const limits = {
  maxParkedPolls: 3,
  maxParkedPollsPerUser: 2,
  maxConfigListeners: 3,
  maxConfigs: 10,
  maxConfigBytes: 100,
  maxConfigTotalBytes: 100,
}
const line = (dataId: string, md5: string, tenant?: string): string =>
  [dataId, 'g', md5, ...(tenant === undefined ? [] : [tenant])].join('\u0002') + '\u0001'
const forever = new AbortController().signal

function setUp(): {
  polls: LongPolls
  publish: (dataId: string, content: string, namespace?: string) => Promise<boolean>
} {
  const config = new StrictStore({ now: () => 0, limits })
  return {
    polls: new LongPolls({ config, limits, clock: systemClock }),
    publish: (dataId, content, namespace = 'public') =>
      config.publish({ namespace, group: 'g', dataId }, content, 'text', undefined),
  }
}

async function faultOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
  } catch (error) {
    if (error instanceof NacosFault) return error.message
    throw error
  }
  return undefined
}

async function kindOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
  } catch (error) {
    return error instanceof NacosFault ? error.kind : 'another error'
  }
  return undefined
}

const nobody = { uid: undefined, login: undefined }
const user = (uid: number) => ({ uid, login: undefined })

/** As `ConfigStore`, with documents that nobody may read and others that nobody more may listen to. */
class StrictStore extends ConfigStore {
  override async read(key: ConfigKey): ReturnType<ConfigStore['read']> {
    if (key.dataId === 'secret') throw new NacosFault('denied', 'secret')
    return await super.read(key)
  }

  override watch(...given: Parameters<ConfigStore['watch']>): ReturnType<ConfigStore['watch']> {
    if (given[0].dataId === 'full') throw overLimit('maxConfigsPerUser', 2, 1)
    return super.watch(...given)
  }
}

describe('long polls', () => {
  it('answer at once with the documents that differ', async () => {
    const { polls, publish } = setUp()
    await publish('a', 'x')
    await publish('b', 'y')
    const answer = await polls.poll(
      line('a', contentMd5('x')) + line('b', 'old') + line('c', ''),
      30_000,
      forever,
      nobody,
    )
    expect(answer).to.equal('b%02g%01')
  })

  it('answer at the first change', async () => {
    const { polls, publish } = setUp()
    const answer = polls.poll(line('a', ''), 30_000, forever, nobody)
    await eventually(() => polls.parked === 1, 'the poll to be parked')
    await publish('a', 'x')
    expect(await answer).to.equal('a%02g%01')
    expect(polls.parked).to.equal(0)
  })

  it("answer in the client's own words for a namespace", async () => {
    const { polls, publish } = setUp()
    await publish('a', 'x', 'dev')
    expect(await polls.poll(line('a', '', 'dev'), 30_000, forever, nobody)).to.equal('a%02g%02dev%01')
  })

  it('answer with nothing half a second before the time is up', async () => {
    const { polls } = setUp()
    expect(await polls.poll(line('a', ''), 1, forever, nobody)).to.equal('')
  })

  it('answer with nothing at once without a time', async () => {
    const { polls } = setUp()
    expect(await polls.poll(line('a', ''), undefined, forever, nobody)).to.equal('')
    expect(polls.parked).to.equal(0)
  })

  it('end when the client goes away', async () => {
    const { polls } = setUp()
    const gone = new AbortController()
    const answer = polls.poll(line('a', ''), 30_000, gone.signal, nobody)
    await eventually(() => polls.parked === 1, 'the poll to be parked')
    gone.abort()
    expect(await answer).to.equal('')
    expect(polls.parked).to.equal(0)
  })

  it('are refused above the bounds of parked polls and of documents', async () => {
    const { polls } = setUp()
    const parked = [nobody, user(1), user(2)].map((caller) => polls.poll(line('a', ''), 30_000, forever, caller))
    await eventually(() => polls.parked === 3, 'three polls to be parked')
    expect(await faultOf(polls.poll(line('a', ''), 30_000, forever, user(3)))).to.match(/^maxParkedPolls: 4 /)
    expect(
      await kindOf(polls.poll(['a', 'b', 'c', 'd'].map((id) => line(id, '')).join(''), 1, forever, nobody)),
    ).to.equal('over-limit')
    polls.close()
    expect(await Promise.all(parked)).to.deep.equal(['', '', ''])
  })

  it('of one user have a share, and leave the others their places', async () => {
    const { polls, publish } = setUp()
    const poll = (uid: number, id = 'a') => polls.poll(line(id, ''), 30_000, forever, user(uid))
    const parked = [poll(1), poll(1)]
    await eventually(() => polls.parked === 2, 'two polls to be parked')
    expect(await faultOf(poll(1))).to.match(/^maxParkedPollsPerUser: 3 /)
    parked.push(poll(2, 'b'))
    await eventually(() => polls.parked === 3, 'that of the other user to be parked')
    await publish('a', 'x')
    expect(await Promise.all(parked.slice(0, 2))).to.deep.equal(['a%02g%01', 'a%02g%01'])
    parked.push(poll(1, 'c'), poll(1, 'c'))
    await eventually(() => polls.parked === 3, 'the places to be free again')
    polls.close()
    await Promise.all(parked)
  })

  it('for denied documents alone wait, without a place among those of all', async () => {
    const { polls } = setUp()
    const denied = [1, 1, 2, 2].map((uid) => polls.poll(line('secret', ''), 30_000, forever, user(uid)))
    await eventually(() => polls.parked === 4, 'four polls to wait')
    expect(await faultOf(polls.poll(line('secret', ''), 30_000, forever, user(1)))).to.match(/^maxParkedPollsPerUser: /)
    const served = [3, 4, 5].map((uid) => polls.poll(line('a', ''), 30_000, forever, user(uid)))
    await eventually(() => polls.parked === 7, 'those who listen to be parked beside them')
    polls.close()
    expect(await Promise.all([...denied, ...served])).to.deep.equal(['', '', '', '', '', '', ''])
    expect(polls.parked).to.equal(0)
  })

  it('that find no room to listen are refused, and keep nothing', async () => {
    const { polls, publish } = setUp()
    const text = line('a', '') + line('full', '')
    for (let i = 0; i < 4; i++)
      expect(await faultOf(polls.poll(text, 1, forever, user(1)))).to.match(/^maxConfigsPerUser: /)
    expect(polls.parked).to.equal(0)
    const answer = polls.poll(line('a', ''), 30_000, forever, user(1))
    await eventually(() => polls.parked === 1, 'the next one to be parked')
    await publish('a', 'x')
    expect(await answer).to.equal('a%02g%01')
  })

  for (const bad of ['', '\u0001', 'a\u0001', 'a\u0002g\u0001', '../x\u0002g\u0002\u0001'])
    it(`refuse ${JSON.stringify(bad)}`, () => {
      expect(() => parseListening(bad, 10)).to.throw(NacosFault)
    })
})
