/**
 * The part of a request's content that was received so far, kept so that the request can be sent again or sent later.
 * Bound: `maxReplayBytes`; a body that outgrows it while it is being sent can no longer be repeated, one that waits for
 * a connection is not read on.
 */

/** One read of the socket fits; larger bodies are streamed once (R31: what cannot be repeated is not retried). */
export const maxReplayBytes = 65_536

const firstBytes = 2048

export class ReplayBuffer {
  bytes: Buffer = Buffer.alloc(0)
  length = 0
  /** False once bytes were sent that are not kept. */
  isWhole = true

  hasRoomFor(count: number): boolean {
    return this.isWhole && this.length + count <= maxReplayBytes
  }

  /** Keeps a copy; the caller asked `hasRoomFor`. */
  keep(source: Buffer, from: number, to: number): void {
    const needed = this.length + to - from
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(maxReplayBytes, Math.max(firstBytes, needed, this.bytes.length * 2)),
      )
      this.bytes.copy(grown, 0, 0, this.length)
      this.bytes = grown
    }
    source.copy(this.bytes, this.length, from, to)
    this.length = needed
  }

  abandon(): void {
    this.isWhole = false
    this.length = 0
  }

  /** For the next request; large memory is not kept. */
  reset(): void {
    if (this.isWhole && this.length === 0) return
    this.isWhole = true
    this.length = 0
    if (this.bytes.length > firstBytes) this.bytes = Buffer.alloc(0)
  }
}
