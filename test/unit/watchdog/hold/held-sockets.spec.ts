import { expect } from 'chai'
import type { Native } from '../../../../native/descriptors.ts'
import { HeldSockets, maxHeldShards } from '../../../../watchdog/hold/held-sockets.ts'
import { DescriptorReserve } from '../../../../watchdog/hold/reserve.ts'

describe('held sockets', () => {
  const shardOf = (
    name: string,
    shard: number,
    port = 80,
  ): { name: string; shard: number; address: string; port: number } => ({
    name,
    shard,
    address: '127.0.0.1',
    port,
  })
  function holder(): { held: HeldSockets; closed: number[]; dropped: string[] } {
    const closed: number[] = []
    const dropped: string[] = []
    const native = { close: (descriptor: number) => closed.push(descriptor) } as unknown as Native
    const held = new HeldSockets({ native, onKeep: () => {}, onDrop: ({ shard }) => dropped.push(shard.name) })
    return { held, closed, dropped }
  }

  it('are kept once per shard; a newer copy replaces the older, which is closed', () => {
    const { held, closed } = holder()
    held.keep(shardOf('a', 0), 10)
    held.keep(shardOf('a', 0), 11)
    expect(closed).to.deep.equal([10])
    expect(held.size).to.equal(1)
    expect(held.has(shardOf('a', 0))).to.equal(true)
    expect(held.has(shardOf('a', 0, 81)), 'another port is another socket').to.equal(false)
  })

  it('are shared out so that every shard has a worker, whatever the number of workers', () => {
    const { held } = holder()
    for (let shard = 0; shard < 4; shard++) held.keep(shardOf('a', shard), shard)
    for (const workers of [1, 2, 3, 4, 8]) {
      const given = Array.from({ length: workers }, (_, index) =>
        held.of(index, workers).map((one) => one.descriptor),
      ).flat()
      expect(
        given.sort((one, other) => one - other),
        `${workers} workers`,
      ).to.deep.equal([0, 1, 2, 3])
    }
  })

  it('that a unit opened are a shard of each worker that has none of its own', () => {
    const { held } = holder()
    const given = (index: number): string[] =>
      held.of(index, 3).map(({ descriptor, shard }) => `${shard.name}#${shard.shard} ${descriptor}`)
    held.keep(shardOf('a', 0), 10, true)
    expect([given(0), given(1), given(2)]).to.deep.equal([['a#0 10'], ['a#1 10'], ['a#2 10']])
    // the copies that worker 1 and the descriptor store give back
    held.keep(shardOf('a', 1), 11)
    held.keep(shardOf('a', 0), 12)
    expect([given(0), given(1), given(2)]).to.deep.equal([['a#0 12'], ['a#1 11'], ['a#2 12']])
    held.keep(shardOf('a', 0, 81), 13)
    expect(given(2), 'another address').to.deep.equal([])
  })

  it('are closed and forgotten when they are no longer wanted', () => {
    const { held, closed, dropped } = holder()
    held.keep(shardOf('a', 0), 10)
    held.drop(shardOf('a', 0))
    held.drop(shardOf('a', 0))
    expect({ closed, dropped, size: held.size }).to.deep.equal({ closed: [10], dropped: ['a'], size: 0 })
  })

  it('stay when somebody gives up another address of the same shard', () => {
    const { held, closed } = holder()
    held.keep(shardOf('a', 0, 81), 11)
    held.drop(shardOf('a', 0, 80))
    expect({ closed, size: held.size }).to.deep.equal({ closed: [], size: 1 })
    held.drop(shardOf('a', 0, 81))
    expect(closed).to.deep.equal([11])
  })

  it('above the bound are refused and closed', () => {
    const { held, closed } = holder()
    for (let shard = 0; shard < maxHeldShards; shard++) held.keep(shardOf('a', shard), shard)
    expect(held.keep(shardOf('b', 0), -1)).to.equal(false)
    expect(closed).to.deep.equal([-1])
  })

  it('have a reserve of descriptors that can be given up and taken back', () => {
    const reserve = new DescriptorReserve(8)
    expect(reserve.size).to.equal(8)
    reserve.release()
    expect(reserve.size).to.equal(0)
    reserve.refill()
    expect(reserve.size).to.equal(8)
    reserve.release()
  })
})
