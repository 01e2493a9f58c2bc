import { expect } from 'chai'
import { CoveredShards } from '../../../../../agent/worker/handoff/covered-shards.ts'
import type { HeldListener } from '../../../../../agent/worker/handoff/handoff-deps.ts'

const held: HeldListener = { name: 'http', shard: 1, address: '127.0.0.1', port: 1, descriptor: 9 }

describe('the sockets of a dead neighbour', () => {
  let opened: (() => void)[]
  let open: Set<number>
  let logged: string[]
  let covered: CoveredShards

  beforeEach(() => {
    opened = []
    open = new Set()
    logged = []
    covered = new CoveredShards(
      async () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        const number = opened.push(resolve)
        await promise
        open.add(number)
        return { close: () => void open.delete(number) }
      },
      (_level, message) => void logged.push(message),
    )
  })

  it('are accepted on until they are given back', async () => {
    const covering = covered.cover(held)
    opened[0]!()
    await covering
    expect([...open]).to.deep.equal([1])
    covered.uncover({ ...held, shard: 2 })
    expect(open.size, 'another shard was given back').to.equal(1)
    covered.uncover(held)
    expect(open.size).to.equal(0)
  })

  for (const [end, title] of [
    [() => covered.uncover(held), 'are given back'],
    [() => covered.close(), 'have to be left, because the worker drains,'],
  ] as const) {
    it(`that ${title} before they are open are closed as soon as they are`, async () => {
      const covering = covered.cover(held)
      end()
      opened[0]!()
      await covering
      expect(open.size).to.equal(0)
    })
  }

  it('that are given back and got again before they are open are open once', async () => {
    const coverings = [covered.cover(held)]
    covered.uncover(held)
    coverings.push(covered.cover(held))
    opened[1]!()
    opened[0]!()
    await Promise.all(coverings)
    expect([...open]).to.deep.equal([2])
  })

  it('that come again close the ones before', async () => {
    const coverings = [covered.cover(held), covered.cover(held)]
    for (const one of opened) one()
    await Promise.all(coverings)
    expect([...open]).to.deep.equal([2])
    const third = covered.cover(held)
    opened[2]!()
    await third
    expect([...open]).to.deep.equal([3])
    expect(logged).to.deep.equal([])
  })

  it('that cannot be opened are logged, and can be got again', async () => {
    let isBroken = true
    const some = new CoveredShards(
      () => {
        if (isBroken) throw new Error('EBADF')
        return { close() {} }
      },
      (_level, message) => void logged.push(message),
    )
    await some.cover(held)
    expect(logged).to.deep.equal(['http: the socket of a dead neighbour cannot be used: EBADF'])
    isBroken = false
    await some.cover(held)
    expect(logged).to.have.length(1)
  })
})
