import { expect } from 'chai'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { FrameSplitter } from '../../../rpc/frame-splitter.ts'
import { HeldBudget } from '../../../rpc/held-budget.ts'
import { boltRequest } from '../../support/rpc/bolt-frames.ts'

const codec = new BoltCodec()
const request = (length: number): Buffer => boltRequest('a.B', 'c', { content: Buffer.alloc(length) })

function splitterThatTakes(most: number, budget = new HeldBudget(1_000_000)) {
  const told: number[] = []
  let left = most
  const splitter = new FrameSplitter(
    codec,
    {
      onFrame(_buf, at, end) {
        told.push(end - at)
        return --left > 0
      },
      onFault: (fault) => void told.push(fault),
    },
    budget,
    1_000_000,
    () => 'one',
  )
  return {
    told,
    splitter,
    takes(more: number): void {
      left = more
      splitter.resume()
    },
  }
}

describe('the splitter of frames', () => {
  it('keeps what follows a frame after which no more is taken, and goes on there', () => {
    const { splitter, takes, told } = splitterThatTakes(1)
    const read = Buffer.concat([request(1), request(2), request(3), request(4).subarray(0, 7)])
    splitter.feed(read, read.length)
    expect(told).to.deep.equal([request(1).length])
    expect(splitter.rest().equals(read.subarray(request(1).length))).to.equal(true)
    takes(2)
    expect(told).to.deep.equal([1, 2, 3].map((length) => request(length).length))
    expect(splitter.waiting).to.equal(7)
    takes(9)
    splitter.feed(request(4).subarray(7), request(4).length - 7)
    expect(told.length).to.equal(4)
    expect(splitter.waiting).to.equal(0)
  })

  it('keeps what comes while no more is taken', () => {
    const { splitter, takes, told } = splitterThatTakes(1)
    splitter.feed(request(1), request(1).length)
    splitter.feed(request(2), request(2).length)
    splitter.feed(request(3), request(3).length)
    expect(told.length).to.equal(1)
    takes(9)
    expect(told.length).to.equal(3)
  })

  it('refuses a holder what others need, and gives them theirs', () => {
    const budget = new HeldBudget(1_000_000)
    expect(budget.take(250_000, 'one')).to.equal(true)
    expect(budget.take(1, 'one')).to.equal(false)
    expect(budget.take(250_000, 'other')).to.equal(true)
    budget.give(100_000, 'one')
    expect(budget.take(100_000, 'one')).to.equal(true)
    budget.give(250_000, 'one')
    budget.give(250_000, 'other')
    expect(budget.bytes).to.equal(0)
  })

  it('gives memory back when a large frame was told, and when it is closed', () => {
    const budget = new HeldBudget(1_000_000)
    const { splitter } = splitterThatTakes(9, budget)
    const large = request(100_000)
    splitter.feed(large.subarray(0, 60_000), 60_000)
    expect(budget.bytes).to.be.within(60_000, 300_000)
    splitter.feed(large.subarray(60_000), large.length - 60_000)
    expect(budget.bytes).to.equal(0)
    splitter.feed(large.subarray(0, 60_000), 60_000)
    splitter.close()
    expect(budget.bytes).to.equal(0)
  })
})
