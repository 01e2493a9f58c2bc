import { hexValues, quotedBytes, tokenBytes, valueBytes } from './byte-classes.ts'
import { Fault } from './fault.ts'
import { Trailers } from './trailers.ts'
import { BodyKind } from './types.ts'
import type { BodyLimits } from './types.ts'

const State = {
  sizeBegin: 0,
  size: 1,
  extensionBegin: 2,
  extensionName: 3,
  extensionValueBegin: 4,
  extensionToken: 5,
  extensionQuoted: 6,
  extensionEscape: 7,
  extensionQuoteEnd: 8,
  sizeLineFeed: 9,
  data: 10,
  dataReturn: 11,
  dataLineFeed: 12,
  trailerBegin: 13,
  trailers: 14,
  lastLineFeed: 15,
} as const

const cr = 0x0d
const lf = 0x0a
const semicolon = 0x3b

/** Most runs of one feed. Each run costs a copy; a feed that needs more is done in several. */
const maxRuns = 64

/** Most hexadecimal digits of a chunk size (R14). */
const maxSizeDigits = 16

/**
 * Finds the end of one message's body after another, and says which of its bytes may pass.
 *
 * `feed` answers how many bytes it took (> 0) or a negative `Fault`. After each feed, `runs` holds `runCount` pairs
 * `[from, to)` into the same buffer, in order:
 * - wire runs (`unframes` false): the body with its framing, fit to be sent as it is to an HTTP/1.1 peer. Chunk
 *   extensions are left out, so they break a run (R15).
 * - payload runs (`unframes` true): the content alone, for whoever frames it anew.
 * It may take less than it was given (its run table is full, or the message is over): loop until all is taken or
 * `isDone`. Bytes after the end are the next message's. When `isDone` and `tail` is not null, `tail` (kept trailer
 * fields and the last empty line) belongs behind the runs of that feed; it is valid until the next `begin`. After a
 * fault there are no runs, and the reader answers the same fault until `begin`.
 */
export class BodyReader {
  readonly runs: Int32Array = new Int32Array(maxRuns * 2)
  runCount = 0
  /** Whether the message is over. A message without a body is over at `begin`. */
  isDone = true
  tail: Buffer | null = null
  kind: BodyKind = BodyKind.none
  /** Content bytes seen so far, without framing. */
  contentBytes = 0

  private state = 0
  /** Bytes left of the content or of the chunk. */
  private left = 0
  private digits = 0
  private lineBytes = 0
  private extensionBytes = 0
  private fault = 0
  private unframes = false
  private keepsTrailers = false
  private trailers: Trailers | null = null
  private limits: BodyLimits = { maxChunkLineBytes: 0, maxChunkExtensionBytes: 0, maxHeadBytes: 0, maxFields: 0 }

  /**
   * Starts the next body. contentLength: only for `BodyKind.length`. keepsTrailers: whether trailer fields other than
   * the forbidden ones pass (R16); requests: true; replies: when the caller said `TE: trailers`.
   */
  begin(kind: BodyKind, contentLength: number, unframes: boolean, keepsTrailers: boolean, limits: BodyLimits): void {
    this.kind = kind
    this.runCount = 0
    this.isDone = kind === BodyKind.none || (kind === BodyKind.length && contentLength === 0)
    this.tail = null
    this.contentBytes = 0
    this.state = State.sizeBegin
    this.left = kind === BodyKind.length ? contentLength : 0
    this.digits = 0
    this.lineBytes = 0
    this.extensionBytes = 0
    this.fault = 0
    this.unframes = unframes
    this.keepsTrailers = keepsTrailers
    this.limits = limits
  }

  feed(buf: Buffer, start: number, end: number): number {
    this.runCount = 0
    if (this.isDone || start >= end) return 0
    if (this.kind === BodyKind.chunked) {
      if (this.fault !== 0) return this.fault
      const taken = this.feedChunks(buf, start, end)
      if (taken < 0) {
        this.fault = taken
        this.runCount = 0
      }
      return taken
    }
    let to = end
    if (this.kind === BodyKind.length) {
      if (end - start >= this.left) {
        to = start + this.left
        this.isDone = true
      }
      this.left -= to - start
    }
    this.runs[0] = start
    this.runs[1] = to
    this.runCount = 1
    this.contentBytes += to - start
    return to - start
  }

  /** Content that is still to come, where its length was said before; else 0. */
  get remaining(): number {
    return this.kind === BodyKind.length ? this.left : 0
  }

  /**
   * `count` bytes of the content passed by without being fed: fewer than `remaining`, so that its end is always seen.
   */
  skip(count: number): void {
    this.left -= count
    this.contentBytes += count
  }

  /**
   * The connection ended here: true when that ends the body properly (close-delimited or tunnel, or already done),
   * false when it was cut short (R26).
   */
  endOfInput(): boolean {
    if (this.kind === BodyKind.untilClose || this.kind === BodyKind.tunnel) this.isDone = true
    return this.isDone
  }

  private feedChunks(buf: Buffer, start: number, end: number): number {
    const limits = this.limits
    const wire = !this.unframes
    let state = this.state
    let i = start
    /**
     * Where the open wire run began; -1 inside an extension or trailers. A run is opened only while the table has room
     * for it.
     */
    let from = state >= State.extensionBegin && state <= State.extensionQuoteEnd ? -1 : start

    while (i < end) {
      const byte = buf[i] as number
      switch (state) {
        case State.sizeBegin:
        case State.size: {
          const digit = hexValues[byte] as number
          if (digit !== 255) {
            if (++this.digits > maxSizeDigits) return Fault.chunkSize
            this.left = this.left * 16 + digit
            if (this.left > Number.MAX_SAFE_INTEGER) return Fault.chunkSize
            this.lineBytes++
            state = State.size
            i++
            break
          }
          if (state === State.sizeBegin) return Fault.chunkSize
          if (byte === cr) {
            state = State.sizeLineFeed
            i++
            break
          }
          if (byte !== semicolon) return Fault.chunkSize
          if (wire && from >= 0) {
            if (i > from) this.addRun(from, i)
            from = -1
          }
          state = State.extensionBegin
          i++
          const fault = this.countExtension(limits)
          if (fault !== 0) return fault
          break
        }
        case State.extensionBegin:
        case State.extensionName:
        case State.extensionValueBegin:
        case State.extensionToken:
        case State.extensionQuoted:
        case State.extensionEscape:
        case State.extensionQuoteEnd: {
          if (byte === cr) {
            if (state !== State.extensionName && state !== State.extensionToken && state !== State.extensionQuoteEnd)
              return Fault.chunkExtension
            if (this.runCount === maxRuns) {
              this.state = state
              return i - start
            }
            from = i
            state = State.sizeLineFeed
            i++
            break
          }
          const fault = this.countExtension(limits)
          if (fault !== 0) return fault
          const next = nextExtensionState(state, byte)
          if (next < 0) return Fault.chunkExtension
          state = next
          i++
          break
        }
        case State.sizeLineFeed:
          if (byte !== lf) return Fault.chunkSize
          i++
          state = this.left === 0 ? State.trailerBegin : State.data
          this.digits = 0
          this.lineBytes = 0
          break
        case State.data: {
          const to = end - i < this.left ? end : i + this.left
          if (!wire) {
            if (this.runCount === maxRuns) {
              this.state = state
              return i - start
            }
            this.addRun(i, to)
          }
          this.left -= to - i
          this.contentBytes += to - i
          i = to
          if (this.left === 0) state = State.dataReturn
          break
        }
        case State.dataReturn:
          if (byte !== cr) return Fault.chunkEnd
          i++
          state = State.dataLineFeed
          break
        case State.dataLineFeed:
          if (byte !== lf) return Fault.chunkEnd
          i++
          state = State.sizeBegin
          break
        case State.trailerBegin:
          if (byte === cr) {
            i++
            state = State.lastLineFeed
            break
          }
          if (wire && i > from) this.addRun(from, i)
          from = -1
          this.trailers ??= new Trailers()
          this.trailers.begin(limits, this.keepsTrailers)
          state = State.trailers
          break
        case State.trailers: {
          const taken = (this.trailers as Trailers).feed(buf, i, end)
          if (taken < 0) return taken
          i += taken
          from = -1
          if (!(this.trailers as Trailers).isDone) break
          this.isDone = true
          this.tail = wire || this.keepsTrailers ? (this.trailers as Trailers).tail() : null
          return i - start
        }
        default:
          if (byte !== lf) return Fault.chunkEnd
          i++
          this.isDone = true
          if (wire) this.addRun(from, i)
          return i - start
      }
    }
    this.state = state
    if (wire && from >= 0 && i > from && state !== State.trailers) this.addRun(from, i)
    return i - start
  }

  private addRun(from: number, to: number): void {
    this.runs[this.runCount * 2] = from
    this.runs[this.runCount * 2 + 1] = to
    this.runCount++
  }

  private countExtension(limits: BodyLimits): number {
    if (++this.extensionBytes > limits.maxChunkExtensionBytes) return Fault.chunkExtensionsTooLarge
    return ++this.lineBytes > limits.maxChunkLineBytes ? Fault.chunkLineTooLong : 0
  }
}

/** chunk-ext (RFC 9112 section 7.1.1) without the optional bad whitespace; -1 = not allowed. */
function nextExtensionState(state: number, byte: number): number {
  switch (state) {
    case State.extensionBegin:
      return tokenBytes[byte] === 1 ? State.extensionName : -1
    case State.extensionName:
      if (tokenBytes[byte] === 1) return State.extensionName
      return byte === 0x3d ? State.extensionValueBegin : byte === semicolon ? State.extensionBegin : -1
    case State.extensionValueBegin:
      return byte === 0x22 ? State.extensionQuoted : tokenBytes[byte] === 1 ? State.extensionToken : -1
    case State.extensionToken:
      if (tokenBytes[byte] === 1) return State.extensionToken
      return byte === semicolon ? State.extensionBegin : -1
    case State.extensionQuoted:
      if (quotedBytes[byte] === 1) return State.extensionQuoted
      return byte === 0x22 ? State.extensionQuoteEnd : byte === 0x5c ? State.extensionEscape : -1
    case State.extensionEscape:
      return valueBytes[byte] === 1 ? State.extensionQuoted : -1
    default:
      return byte === semicolon ? State.extensionBegin : -1
  }
}
