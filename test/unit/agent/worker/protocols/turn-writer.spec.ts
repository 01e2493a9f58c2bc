import { expect } from 'chai'
import { TurnWriter } from '../../../../../agent/worker/protocols/turn-writer.ts'
import type { TurnWriterOwner } from '../../../../../agent/worker/protocols/turn-writer.ts'
import { OutputPool } from '../../../../../agent/worker/transport/output-pool.ts'
import { MemoryTransport } from '../../../../support/memory-transport.ts'

class Frames extends TurnWriter<TurnWriterOwner> {
  readonly writes: number[] = []

  put(bytes: number): void {
    this.open().append(Buffer.alloc(bytes, 'x'))
    this.afterFrame()
  }

  protected onLeaving(bytes: number): void {
    this.writes.push(bytes)
  }
}

describe('what a connection of frames writes', () => {
  let wire: MemoryTransport
  let said: string[]
  let endTurn: () => void
  let frames: Frames

  beforeEach(() => {
    wire = new MemoryTransport()
    said = []
    const owner = {
      onTooMuchUnsent: () => void said.push('too much'),
      onSlow: (isSlow: boolean) => void said.push(isSlow ? 'slow' : 'drained'),
    }
    frames = new Frames(wire, new OutputPool((callback) => (endTurn = callback)), owner, 100_000)
    wire.owner.onDrained = () => frames.onDrained()
  })

  it('leaves at the end of the turn, all of it at once', () => {
    for (const bytes of [10, 20, 30]) frames.put(bytes)
    expect(wire.received.length).to.equal(0)
    endTurn()
    expect(frames.writes).to.deep.equal([60])
    expect(wire.received.length).to.equal(60)
  })

  it('leaves before that when it has grown to 64 KiB', () => {
    frames.put(65_000)
    expect(frames.writes).to.deep.equal([])
    frames.put(1000)
    expect(frames.writes).to.deep.equal([66_000])
  })

  it('waits behind what the kernel has not taken, and goes on when it has', async () => {
    wire.stopReading()
    frames.put(70_000)
    expect({ said, isSlow: frames.isSlow }).to.deep.equal({ said: ['slow'], isSlow: true })
    frames.put(5000)
    endTurn()
    expect({ writes: frames.writes, unsent: frames.unsentBytes }).to.deep.equal({ writes: [70_000], unsent: 5000 })
    wire.readAgain()
    await new Promise((resolve) => setImmediate(resolve))
    expect({ said, writes: frames.writes }).to.deep.equal({ said: ['slow', 'drained'], writes: [70_000, 5000] })
  })

  it('tells its connection when more waits than it may, at the end of the turn', () => {
    wire.stopReading()
    frames.put(70_000)
    frames.put(99_000)
    endTurn()
    expect(said).to.deep.equal(['slow'])
    frames.put(1001)
    expect(said, 'in the middle of a message').to.deep.equal(['slow'])
    endTurn()
    expect(said).to.deep.equal(['slow', 'too much'])
    frames.write()
    expect(said, 'by a last write').to.deep.equal(['slow', 'too much'])
  })

  it('is nothing any more once the connection is over', () => {
    frames.put(10)
    frames.close()
    endTurn()
    expect({ writes: frames.writes, unsent: frames.unsentBytes }).to.deep.equal({ writes: [], unsent: 0 })
  })
})
