import type { RequestFault } from '../../forward/streams.ts'
import { H2Error } from './frames.ts'
import type { BlockKind } from './head-reader.ts'
import type { HeadLimits, HeadReader } from './head-reader.ts'
import type { Http2Head } from './head.ts'
import type { HpackDecoder } from './hpack/decoder.ts'
import { maxContinuations } from './limits.ts'

/** Blocks up to here are remembered. */
const longestKept = 256

/** A block that was read before: the same bytes under the same table are the same head. */
interface Known {
  readonly bytes: Buffer
  readonly kind: BlockKind
  readonly version: number
  /** null until it is seen a second time. */
  head: Http2Head | null
}

/**
 * Header blocks of one peer: put together from their frames, decoded, and remembered while the peer's table stays as it
 * is. Bounds: `maxHeadBytes` of undecoded bytes, 8 CONTINUATION frames, and `slots` remembered blocks of up to 256
 * bytes.
 */
export class HeadBlocks {
  /** What is wrong with the last block that could be decoded. */
  fault: RequestFault | null = null
  /** The block in hand, not all of whose frames have come. */
  private parts: Buffer[] = []
  private partBytes = 0
  private readonly decoder: HpackDecoder
  private readonly reader: HeadReader
  private readonly known: (Known | null)[]
  private next = 0

  constructor(decoder: HpackDecoder, reader: HeadReader, slots: number) {
    this.decoder = decoder
    this.reader = reader
    this.known = Array.from({ length: slots }, () => null)
  }

  /** Keeps a part of a block that goes on. False = over a bound. */
  keep(buf: Buffer, from: number, to: number, maxBytes: number): boolean {
    this.partBytes += to - from
    if (this.parts.length > maxContinuations || this.partBytes > maxBytes) return false
    this.parts.push(Buffer.from(buf.subarray(from, to)))
    return true
  }

  /** The parts as one, which are then forgotten. */
  takeParts(): Buffer {
    const whole = Buffer.concat(this.parts)
    this.parts = []
    this.partBytes = 0
    return whole
  }

  /** What has come of a block that goes on; empty = none. */
  get rest(): Buffer {
    return Buffer.concat(this.parts)
  }

  /** The head; null with `fault`; or a connection error. */
  read(buf: Buffer, from: number, to: number, kind: BlockKind, limits: HeadLimits): Http2Head | null | H2Error {
    this.fault = null
    const { version } = this.decoder.table
    const isShort = to - from <= longestKept
    if (isShort) {
      const known = this.find(buf, from, to, kind, version)
      if (known !== null && known.head !== null) return known.head
      const head = this.decode(buf, from, to, kind, limits)
      // Only a block that changes nothing means the same the next time.
      if (head instanceof Object && version === this.decoder.table.version)
        this.remember(known, buf, from, to, kind, head)
      return head
    }
    return this.decode(buf, from, to, kind, limits)
  }

  private decode(
    buf: Buffer,
    from: number,
    to: number,
    kind: BlockKind,
    limits: HeadLimits,
  ): Http2Head | null | H2Error {
    const { reader } = this
    reader.begin(kind, limits)
    if (!this.decoder.decode(buf, from, to, reader)) return H2Error.compression
    const head = reader.finish()
    this.fault = reader.fault
    return head
  }

  private find(buf: Buffer, from: number, to: number, kind: BlockKind, version: number): Known | null {
    const length = to - from
    for (const known of this.known) {
      if (known === null) return null
      if (known.bytes.length !== length || known.kind !== kind || known.version !== version) continue
      const { bytes } = known
      let i = 0
      while (i < length && bytes[i] === buf[from + i]) i++
      if (i === length) return known
    }
    return null
  }

  /** The second time it is kept: what comes only once costs no head that lives on. */
  private remember(known: Known | null, buf: Buffer, from: number, to: number, kind: BlockKind, head: Http2Head): void {
    if (known !== null) {
      known.head = head
      return
    }
    const { version } = this.decoder.table
    const bytes = Buffer.from(buf.subarray(from, to))
    this.known[this.next] = { bytes, kind, version, head: null }
    this.next = (this.next + 1) % this.known.length
  }
}
