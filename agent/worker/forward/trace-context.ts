const hexDigits = Buffer.from('0123456789abcdef', 'latin1')

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
    writeHex(this.traceId, 0, random)
    writeHex(this.traceId, 16, random)
    this.isSampled = random() < sampledShare
    this.isThere = true
  }

  nextSpan(random: () => number): void {
    writeHex(this.spanId, 0, random)
  }

  get text(): string {
    return this.isThere ? this.traceId.toString('latin1') : ''
  }
}

/** 16 random digits. */
function writeHex(into: Buffer, at: number, random: () => number): void {
  for (let i = 0; i < 16; i += 8) {
    let word = (random() * 0x1_0000_0000) >>> 0
    for (let digit = 0; digit < 8; digit++) {
      into[at + i + digit] = hexDigits[word & 15]!
      word >>>= 4
    }
  }
}
