import { grpcPrefixBytes } from '../../../../contracts/grpc-wire.ts'
import type { CountState } from '../exchange-state.ts'

/**
 * Counts the messages in the content of one direction of a call, wherever it is cut: each has a byte of flags and four
 * of length before it.
 */
export class MessageCount {
  /** Messages that began. */
  count = 0
  /** Of the message in hand. */
  private left = 0
  /** Bytes of a prefix that came, and the length as far as they say it. */
  private prefix = 0
  private length = 0

  take(buf: Buffer, from: number, to: number): void {
    let at = from
    while (at < to) {
      if (this.left > 0) {
        const step = Math.min(this.left, to - at)
        this.left -= step
        at += step
        continue
      }
      // the flags first, whose value is thrown out of the 32 bits by what follows
      this.length = ((this.length << 8) | buf[at]!) >>> 0
      at++
      if (++this.prefix < grpcPrefixBytes) continue
      this.count++
      this.left = this.length
      this.prefix = 0
      this.length = 0
    }
  }

  get state(): CountState {
    return [this.count, this.left, this.prefix, this.length]
  }

  restore([count, left, prefix, length]: CountState): void {
    this.count = count
    this.left = left
    this.prefix = prefix
    this.length = length
  }

  reset(): void {
    this.count = 0
    this.left = 0
    this.prefix = 0
    this.length = 0
  }
}
