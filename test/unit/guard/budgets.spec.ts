import { expect } from 'chai'
import { ByteBudget } from '../../../guard/byte-budget.ts'
import { ConnectionBudget } from '../../../guard/connection-budget.ts'

class Connection {
  isDestroyed = false
  destroy(): void {
    this.isDestroyed = true
  }
}

describe('a budget of connections', () => {
  const budget = (bounds: string[] = []): ConnectionBudget<Connection> =>
    new ConnectionBudget({ most: 4, mostPerCaller: 3, onBound: (bound) => bounds.push(bound) })
  const open = (budget: ConnectionBudget<Connection>, caller: string, count: number): Connection[] =>
    Array.from({ length: count }, () => {
      const connection = new Connection()
      expect(budget.enter(connection, caller)).to.equal(true)
      return connection
    })

  it('lets the longest idle connection of a caller leave at the bound of that caller, and nobody else’s', () => {
    const bounds: string[] = []
    const made = budget(bounds)
    const [other] = open(made, 'b', 1)
    const [first, second] = open(made, 'a', 3)
    made.busy(first!)
    made.rest(first!)
    open(made, 'a', 1)
    expect([first, second, other].map((one) => one!.isDestroyed)).to.deep.equal([false, true, false])
    expect(made.size).to.equal(4)
    expect(bounds).to.deep.equal(['mostPerCaller'])
  })

  it('lets the longest idle of all leave at the bound for all', () => {
    const bounds: string[] = []
    const made = budget(bounds)
    const [oldest] = open(made, 'a', 2)
    open(made, 'b', 2)
    open(made, 'c', 1)
    expect(oldest!.isDestroyed).to.equal(true)
    expect(bounds).to.deep.equal(['most'])
  })

  it('refuses the newcomer when nobody is idle, and takes one again when one has left', () => {
    const made = budget()
    const busy = open(made, 'a', 3)
    for (const one of busy) made.busy(one)
    expect(made.enter(new Connection(), 'a')).to.equal(false)
    expect(made.enter(new Connection(), 'b')).to.equal(true)
    made.leave(busy[0]!)
    made.leave(busy[0]!)
    expect(made.size).to.equal(3)
    expect(made.enter(new Connection(), 'a')).to.equal(true)
    expect(busy.some((one) => one.isDestroyed)).to.equal(false)
  })
})

describe('a budget of bytes', () => {
  it('holds so much for all, and so much for one caller', () => {
    const made = new ByteBudget({ most: 100, mostPerCaller: 60 })
    expect(made.take('a', 60)).to.equal(true)
    expect(made.take('a', 1)).to.equal(false)
    expect(made.take('b', 41)).to.equal(false)
    expect(made.take('b', 40)).to.equal(true)
    made.give('a', 60)
    expect(made.take('a', 60)).to.equal(true)
    made.give('a', 60)
    made.give('b', 40)
    expect(made.size).to.equal(0)
  })
})
