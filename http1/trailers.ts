import { tokenBytes, valueBytes } from './byte-classes.ts'
import { Fault } from './fault.ts'
import { fieldOf, isForbiddenInTrailers } from './field-names.ts'
import type { BodyLimits, Fields } from './types.ts'

const LineState = { begin: 0, name: 1, value: 2, lineFeed: 3, lastLineFeed: 4 } as const

const cr = 0x0d
const lf = 0x0a

/**
 * Reads the trailer section of a chunked body from its first field line on, and keeps the lines that may pass (R16):
 * never into the head, never a framing, routing, authentication or identity field. Bounds: `maxHeadBytes` and
 * `maxFields` of the limits, counted over all lines, kept or not.
 */
export class Trailers {
  isDone = false
  private kept: Buffer = Buffer.alloc(256)
  private keptBytes = 0
  private lineStart = 0
  private nameEnd = 0
  private state = 0
  private bytes = 0
  private fields = 0
  private keeps = false
  private limits: BodyLimits = { maxChunkLineBytes: 0, maxChunkExtensionBytes: 0, maxHeadBytes: 0, maxFields: 0 }

  begin(limits: BodyLimits, keeps: boolean): void {
    this.isDone = false
    this.keptBytes = 0
    this.lineStart = 0
    this.state = LineState.begin
    this.bytes = 0
    this.fields = 0
    this.keeps = keeps
    this.limits = limits
  }

  /** Answers how many bytes were taken, or a fault. */
  feed(buf: Buffer, start: number, end: number): number {
    for (let i = start; i < end; i++) {
      const byte = buf[i] as number
      if (++this.bytes > this.limits.maxHeadBytes) return Fault.trailersTooLarge
      this.keep(byte)
      switch (this.state) {
        case LineState.begin:
          if (byte === cr) {
            this.state = LineState.lastLineFeed
            break
          }
          if (tokenBytes[byte] === 0) return Fault.trailer
          if (++this.fields > this.limits.maxFields) return Fault.trailersTooLarge
          this.state = LineState.name
          break
        case LineState.name:
          if (tokenBytes[byte] === 1) break
          if (byte !== 0x3a) return Fault.trailer
          this.nameEnd = this.keptBytes - 1
          this.state = LineState.value
          break
        case LineState.value:
          if (valueBytes[byte] === 1) break
          if (byte !== cr) return Fault.trailer
          this.state = LineState.lineFeed
          break
        case LineState.lineFeed:
          if (byte !== lf) return Fault.trailer
          if (!this.keeps || isForbiddenInTrailers(fieldOf(this.kept, this.lineStart, this.nameEnd)))
            this.keptBytes = this.lineStart
          this.lineStart = this.keptBytes
          this.state = LineState.begin
          break
        default:
          if (byte !== lf) return Fault.trailer
          this.isDone = true
          return i + 1 - start
      }
    }
    return end - start
  }

  /** Kept lines and the empty line. Valid until the next `begin`. */
  tail(): Buffer {
    return this.kept.subarray(0, this.keptBytes)
  }

  private keep(byte: number): void {
    if (this.keptBytes === this.kept.length) {
      const larger = Buffer.allocUnsafe(this.kept.length * 2)
      this.kept.copy(larger)
      this.kept = larger
    }
    this.kept[this.keptBytes++] = byte
  }
}

/** The fields of a `tail`, names in lower case; null when none was kept. */
export function trailerFields(tail: Buffer): Fields | null {
  const lines = tail.toString('latin1').split('\r\n').slice(0, -2)
  if (lines.length === 0) return null
  return lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
}
