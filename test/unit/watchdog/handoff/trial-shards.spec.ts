import { expect } from 'chai'
import type { Native } from '../../../../native/descriptors.ts'
import { TrialShards } from '../../../../watchdog/handoff/trial-shards.ts'
import { HeldSockets } from '../../../../watchdog/hold/held-sockets.ts'
import type { Generation } from '../../../../watchdog/supervise/generation.ts'

describe('sockets of a generation that does not serve yet', () => {
  const [old, fresh] = [{ number: 1 }, { number: 2 }] as unknown as [Generation, Generation]
  const shardOf = (name: string, port = 80) => ({ name, shard: 0, address: '127.0.0.1', port })
  let tree: { current: Generation | undefined; next: Generation | undefined }
  let held: HeldSockets
  let trial: TrialShards

  beforeEach(() => {
    tree = { current: old, next: fresh }
    held = new HeldSockets({ native: { close() {} } as unknown as Native, onKeep: () => {}, onDrop: () => {} })
    trial = new TrialShards(tree, held)
    deposit(old, 'orders')
  })

  const deposit = (generation: Generation, name: string, port?: number): void => {
    trial.onDeposit(generation, [shardOf(name, port)])
    held.keep(shardOf(name, port), 10)
  }
  const serve = (): void => {
    Object.assign(tree, { current: fresh, next: undefined })
    trial.onServing()
  }
  const names = (): string[] => held.all().map(({ shard }) => `${shard.name}:${shard.port}`)

  it('that it does not want stay while the old one serves, and go when it serves itself', () => {
    trial.withdraw(fresh, [shardOf('orders')])
    expect(names()).to.deep.equal(['orders:80'])
    serve()
    expect(names()).to.deep.equal([])
  })

  it('that it does not want stay when it fails', () => {
    trial.withdraw(fresh, [shardOf('orders')])
    trial.onFailed()
    tree.next = undefined
    serve()
    expect(names()).to.deep.equal(['orders:80'])
  })

  it('that it wants again, or at another port, stay when it serves', () => {
    deposit(old, 'stock')
    trial.withdraw(fresh, [shardOf('orders'), shardOf('stock')])
    deposit(fresh, 'orders')
    deposit(fresh, 'stock', 81)
    serve()
    expect(names().toSorted()).to.deep.equal(['orders:80', 'stock:81'])
  })

  it('that nobody held before it go when it fails, but not what the old one has brought as well', () => {
    deposit(fresh, 'stock')
    deposit(fresh, 'bills')
    deposit(old, 'bills')
    trial.onFailed()
    expect(names()).to.deep.equal(['orders:80', 'bills:80'])
  })

  it('that it brought stay when a worker of the old one, started again, finds them of no use', () => {
    deposit(fresh, 'stock')
    trial.withdraw(old, [shardOf('stock')])
    serve()
    expect(names()).to.include('stock:80')
  })

  it('stay when it fails and there is no old one, for whoever comes next', () => {
    tree.current = undefined
    deposit(fresh, 'stock')
    trial.onFailed()
    expect(names()).to.include('stock:80')
  })

  it('that it does not want go at once when nothing else serves', () => {
    tree.current = undefined
    deposit(fresh, 'stock')
    trial.withdraw(fresh, [shardOf('orders'), shardOf('stock')])
    expect(names()).to.deep.equal([])
  })

  it('of the serving one go at once when it gives them up, and of one that drains not at all', () => {
    trial.withdraw({ number: 0 } as Generation, [shardOf('orders')])
    expect(names()).to.deep.equal(['orders:80'])
    trial.withdraw(old, [shardOf('orders')])
    expect(names()).to.deep.equal([])
  })
})
