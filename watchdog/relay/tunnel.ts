/** Two wires as one: bytes, half-closes and resets pass each way on their own. A slow reader stops its source. */
import type { Wire, WireOwner } from './wire.ts'

/** Takes both wires over and resumes them. */
export function tunnel(one: Wire, other: Wire): void {
  const forth = new Side(one, other)
  const back = new Side(other, one)
  forth.otherSide = back
  back.otherSide = forth
  one.owner = forth
  other.owner = back
  one.resume()
  other.resume()
}

class Side implements WireOwner {
  otherSide: Side | undefined
  private readonly from: Wire
  private readonly to: Wire
  private hasEnded = false

  constructor(from: Wire, to: Wire) {
    this.from = from
    this.to = to
  }

  onBytes(bytes: Buffer): void {
    if (!this.to.writeCopy(bytes)) this.from.pause()
  }

  onEnd(): void {
    this.hasEnded = true
    this.to.end()
  }

  /** `from` can take more: the other way may flow again. */
  onDrained(): void {
    this.to.resume()
  }

  onClosed(): void {
    // Both ways were finished: what is still to be written to the other side goes out before its own end.
    if (this.hasEnded && this.otherSide?.hasEnded === true) return
    this.to.reset()
  }
}
