import { expect } from 'chai'

import {
  BulkFlow,
  BulkMover,
  largestPortion,
  maxHeldBytes,
  smallestPortion,
} from '../../../../../agent/worker/transport/bulk-flow.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import { nothingToTake, takeFailed } from '../../../../../native/kernel-pipe.ts'
import type { BytePipe } from '../../../../../native/kernel-pipe.ts'

/** An endless source, unless `next` says otherwise, and a receiver that takes at most `room` bytes at once. */
class FakePipe implements BytePipe {
  readonly capacity = largestPortion
  readonly asked: number[] = []
  next: number | null = null
  room = Infinity
  isClosed = false

  take(_socket: number, atMost: number): number {
    this.asked.push(atMost)
    return this.next ?? atMost
  }
  give(_socket: number, count: number): number {
    return Math.min(count, this.room)
  }
  rest(count: number): Buffer {
    return Buffer.alloc(count)
  }
  close(): void {
    this.isClosed = true
  }
}

describe('bulk inside the kernel', () => {
  const from = { spliceDescriptor: 10 } as Transport
  let pipe: FakePipe
  let mover: BulkMover
  let written: number[]
  let isTaken: boolean
  const to = {
    spliceDescriptor: 11,
    writeFrom(_memory: Buffer, length: number) {
      written.push(length)
      return isTaken
    },
  } as Transport

  beforeEach(() => {
    pipe = new FakePipe()
    mover = new BulkMover(pipe)
    written = []
    isTaken = false
  })

  it('moves portions that grow from 64 KiB to 1 MiB while the receiver takes everything', () => {
    const flow = new BulkFlow(mover)
    for (let nth = 0; nth < 6; nth++) flow.move(from, to)
    expect(pipe.asked.map((bytes) => bytes / 1024)).to.deep.equal([64, 128, 256, 512, 1024, 1024])
    expect(written).to.deep.equal([])
    expect(flow.isHeld).to.equal(false)
  })

  it('takes nothing past a transport that has to see its bytes, at either end', () => {
    const seeing = { descriptor: 12, spliceDescriptor: -1, pendingBytes: 0 } as Transport
    const flow = new BulkFlow(mover)
    expect(flow.move(seeing, to)).to.equal(nothingToTake)
    expect(flow.move(from, seeing)).to.equal(nothingToTake)
    expect(pipe.asked).to.deep.equal([])
    expect([mover.mayMove(seeing, to), mover.mayMove(from, seeing), mover.mayMove(from, to)]).to.deep.equal([
      false,
      false,
      true,
    ])
  })

  it('does not grow by portions that came less than full', () => {
    const flow = new BulkFlow(mover)
    pipe.next = 1000
    flow.move(from, to)
    flow.move(from, to)
    expect(pipe.asked).to.deep.equal([smallestPortion, smallestPortion])
  })

  it('holds what the receiver left until it is released, and begins small again', () => {
    const flow = new BulkFlow(mover)
    flow.move(from, to)
    pipe.room = 1000
    expect(flow.move(from, to)).to.equal(2 * smallestPortion)
    expect(written).to.deep.equal([2 * smallestPortion - 1000])
    expect(flow.isHeld).to.equal(true)
    expect(mover.heldBytes).to.equal(2 * smallestPortion - 1000)
    flow.release()
    flow.release()
    expect(flow.isHeld).to.equal(false)
    expect(mover.heldBytes).to.equal(0)
    flow.move(from, to)
    expect(pipe.asked.at(-1)).to.equal(smallestPortion)
  })

  it('holds nothing when the receiver takes the rest after all', () => {
    const flow = new BulkFlow(mover)
    isTaken = true
    pipe.room = 1000
    flow.move(from, to)
    expect(flow.isHeld).to.equal(false)
    expect(mover.heldBytes).to.equal(0)
  })

  it('moves small portions only while all connections together hold 16 MiB', () => {
    const grown = new BulkFlow(mover)
    for (let nth = 0; nth < 5; nth++) grown.move(from, to)
    const slow: BulkFlow[] = []
    while (mover.heldBytes < maxHeldBytes) {
      const flow = new BulkFlow(mover)
      pipe.room = 0
      flow.move(from, to)
      slow.push(flow)
    }
    expect(slow.length).to.equal(maxHeldBytes / smallestPortion)
    pipe.room = Infinity
    grown.move(from, to)
    expect(pipe.asked.at(-1)).to.equal(smallestPortion)
    for (const flow of slow) flow.release()
    grown.move(from, to)
    expect(pipe.asked.at(-1)).to.equal(largestPortion)
  })

  it('says when there is nothing, when the source has ended, and when it is broken', () => {
    const flow = new BulkFlow(mover)
    for (const answer of [nothingToTake, 0, takeFailed]) {
      pipe.next = answer
      expect(flow.move(from, to)).to.equal(answer)
    }
    expect(written).to.deep.equal([])
  })

  it('is over with the worker', () => {
    mover.close()
    expect(pipe.isClosed).to.equal(true)
    expect(mover.pipe).to.equal(null)
  })
})
