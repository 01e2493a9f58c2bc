import { expect } from 'chai'
import { PendingTable } from '../../../../../../agent/worker/protocols/rpc/pending-table.ts'

const waiter = () => ({ id: 0, slot: -1 })

describe('the table of pending requests', () => {
  it('finds who waits by the id that it gave, and nobody by an old one', () => {
    const table = new PendingTable(31, 1000)
    const first = waiter()
    const id = table.add(first)
    expect(table.find(id)).to.equal(first)
    table.remove(first)
    expect(table.find(id)).to.equal(null)
    const second = waiter()
    expect(table.add(second)).to.not.equal(id)
    expect(table.find(id)).to.equal(null)
    expect(table.find(second.id)).to.equal(second)
  })

  it('gives ids within their bits, none twice at once, whatever is asked of it', () => {
    for (const bits of [8, 12, 16, 31, 32]) {
      const table = new PendingTable(bits, 1000)
      for (let round = 0; round < 5; round++) {
        const all = Array.from({ length: table.capacity }, waiter)
        for (const one of all) table.add(one)
        expect(new Set(all.map(({ id }) => id)).size, `${bits} bits`).to.equal(table.capacity)
        expect(Math.max(...all.map(({ id }) => id))).to.be.below(2 ** bits - 1)
        for (const one of all) {
          expect(table.find(one.id)).to.equal(one)
          table.remove(one)
        }
        expect(table.count).to.equal(0)
      }
    }
  })

  it('knows nobody under ids that it never gave', () => {
    const table = new PendingTable(31, 1000)
    for (const id of [0, 1, 1023, 5000, 2 ** 31 - 1, 2 ** 32 - 1]) expect(table.find(id)).to.equal(null)
  })

  it('removes a waiter once', () => {
    const table = new PendingTable(31, 10)
    const one = waiter()
    table.add(one)
    table.remove(one)
    table.remove(one)
    expect([table.count, table.all()]).to.deep.equal([0, []])
  })
})
