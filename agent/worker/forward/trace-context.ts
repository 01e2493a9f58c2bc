import { writeRandomHex } from './random-hex.ts'

/**
 * The trace that we began for a request without one (W3C Trace Context): all its attempts are spans of it, and its line in the access log names it. Reused with its request. The ids are
 * bytes of lower-case hex, so that a codec copies them.
 */
export class TraceContext {
  readonly traceId: Buffer = Buffer.alloc(32)
  /** Of the attempt in hand. */
  readonly spanId: Buffer = Buffer.alloc(16)
  isSampled = false
  isThere = false

  begin(sampledShare: number, random: () => number): void {
    writeRandomHex(this.traceId, 0, 32, random)
    this.isSampled = random() < sampledShare
    this.isThere = true
  }

  nextSpan(random: () => number): void {
    writeRandomHex(this.spanId, 0, 16, random)
  }

  get text(): string {
    return this.isThere ? this.traceId.toString('latin1') : ''
  }
}
