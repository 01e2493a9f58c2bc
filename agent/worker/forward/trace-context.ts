import type { TraceFormat } from '../../../contracts/telemetry.ts'
import type { TraceState } from './exchange-state.ts'
import { writeRandomHex } from './random-hex.ts'
import type { Fields } from '../route/types.ts'

/** Bits of `TraceContext.formats`. */
export const TraceBits = { w3c: 1, b3: 2, b3single: 4 } as const

export function traceBits(formats: readonly TraceFormat[]): number {
  return formats.reduce((bits, format) => bits | TraceBits[format], 0)
}

/**
 * The trace of a request, as we pass it on: one that we began (W3C Trace Context), or the caller's with a span of ours
 * in it. All attempts are in it, and the request's line in the access log names it. Reused with its request. The ids
 * are bytes of lower-case hex, so that a codec copies them.
 */
export class TraceContext {
  readonly traceId: Buffer = Buffer.alloc(32)
  /** Ours: of the attempt in hand, or of the whole request where it is recorded. */
  readonly spanId: Buffer = Buffer.alloc(16)
  /** The caller's, where there is one. */
  readonly parentId: Buffer = Buffer.alloc(16)
  hasParent = false
  isSampled = false
  /** Its fields are written. */
  isThere = false
  /** A span of it goes to the collector. */
  isRecorded = false
  /** It was looked at, whatever came of it. */
  isDecided = false
  /** The id came with 64 bits and goes on so; the first half of `traceId` is zeros. */
  isShort = false
  formats: number = TraceBits.w3c
  /** The caller's fields are left out, for ours say what they said, or they said nothing that can be read. */
  replaces = false

  /** A new one. */
  begin(isSampled: boolean, random: () => number): void {
    writeRandomHex(this.traceId, 0, 32, random)
    this.hasParent = false
    this.isShort = false
    this.isSampled = isSampled
    this.isThere = true
  }

  nextSpan(random: () => number): void {
    writeRandomHex(this.spanId, 0, 16, random)
  }

  /** Where the id that is written begins. */
  get idFrom(): number {
    return this.isShort ? 16 : 0
  }

  get text(): string {
    return this.isThere ? this.traceId.toString('latin1') : ''
  }

  get spanText(): string {
    return this.isRecorded ? this.spanId.toString('latin1') : ''
  }

  /** The fields as text, for a codec that takes no bytes. */
  fields(): Fields {
    const { formats } = this
    const id = this.traceId.toString('latin1')
    const idAsCame = id.slice(this.idFrom)
    const span = this.spanId.toString('latin1')
    const flag = this.isSampled ? '1' : '0'
    const fields: [string, string][] = []
    if ((formats & TraceBits.w3c) !== 0) fields.push(['traceparent', `00-${id}-${span}-0${flag}`])
    if ((formats & TraceBits.b3single) !== 0) fields.push(['b3', `${idAsCame}-${span}-${flag}`])
    if ((formats & TraceBits.b3) !== 0) {
      fields.push(['x-b3-traceid', idAsCame], ['x-b3-spanid', span], ['x-b3-sampled', flag])
      if (this.hasParent) fields.push(['x-b3-parentspanid', this.parentId.toString('latin1')])
    }
    return fields
  }

  get state(): TraceState {
    const { formats, hasParent, isDecided, isRecorded, isSampled, isShort, isThere, replaces } = this
    const text = (bytes: Buffer): string => bytes.toString('latin1')
    const ids = [text(this.traceId), text(this.spanId), text(this.parentId)] as const
    return { ids, formats, hasParent, isSampled, isThere, isRecorded, isDecided, isShort, replaces }
  }

  restore(state: TraceState): void {
    const [trace, span, parent] = state.ids
    this.traceId.write(trace, 'latin1')
    this.spanId.write(span, 'latin1')
    this.parentId.write(parent, 'latin1')
    this.formats = state.formats
    this.hasParent = state.hasParent
    this.isSampled = state.isSampled
    this.isThere = state.isThere
    this.isRecorded = state.isRecorded
    this.isDecided = state.isDecided
    this.isShort = state.isShort
    this.replaces = state.replaces
  }

  reset(): void {
    this.isThere = false
    this.isRecorded = false
    this.isDecided = false
    this.hasParent = false
    this.isShort = false
    this.replaces = false
    this.formats = TraceBits.w3c
  }
}
