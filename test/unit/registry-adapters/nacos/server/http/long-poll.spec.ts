import { expect } from 'chai'
import { systemClock } from '../../../../../../contracts/clock.ts'
import { NacosFault } from '../../../../../../registry-adapters/nacos/server/fault.ts'
import { LongPolls, parseListening } from '../../../../../../registry-adapters/nacos/server/http/long-poll.ts'
import { ConfigStore } from '../../../../../../registry-adapters/nacos/embedded/config-store.ts'
import { contentMd5 } from '../../../../../../registry-adapters/nacos/server/config-key.ts'
import { eventually } from '../../../../../support/registry-listener.ts'

const limits = {
  maxParkedPolls: 2,
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
  const config = new ConfigStore({ now: () => 0, limits })
  return {
    polls: new LongPolls({ config, limits, clock: systemClock }),
    publish: (dataId, content, namespace = 'public') =>
      config.publish({ namespace, group: 'g', dataId }, content, 'text', undefined),
  }
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
    const parked = [
      polls.poll(line('a', ''), 30_000, forever, nobody),
      polls.poll(line('a', ''), 30_000, forever, nobody),
    ]
    await eventually(() => polls.parked === 2, 'two polls to be parked')
    expect(await kindOf(polls.poll(line('a', ''), 30_000, forever, nobody))).to.equal('over-limit')
    expect(
      await kindOf(polls.poll(['a', 'b', 'c', 'd'].map((id) => line(id, '')).join(''), 1, forever, nobody)),
    ).to.equal('over-limit')
    polls.close()
    expect(await Promise.all(parked)).to.deep.equal(['', ''])
  })

  for (const bad of ['', '\u0001', 'a\u0001', 'a\u0002g\u0001', '../x\u0002g\u0002\u0001'])
    it(`refuse ${JSON.stringify(bad)}`, () => {
      expect(() => parseListening(bad, 10)).to.throw(NacosFault)
    })
})
