import type { AttributeEdits, AttributeVisitor, RpcCodec, RpcError } from '../codec.ts'
import { FrameFault, frameBounds, FrameKind } from '../frame.ts'
import type { RpcFrame } from '../frame.ts'
import { isNameBytes, isSameName, Names } from '../names.ts'
import { binaryException, compactException, MessageType } from './exception.ts'
import { varint, VarintReader } from './varint.ts'

/**
 * Thrift in frames: the binary protocol in its strict form, the compact one, and THeader with either of them in it.
 * Sources: apache/thrift, doc/specs (thrift-rpc, thrift-binary-protocol, thrift-compact-protocol, HeaderFormat).
 *
 * A frame is its length (4 bytes) and, in the binary protocol, version and type, method, id, arguments. The compact one
 * has the id before the method, in 1 to 5 bytes, so that a frame grows or shrinks with its id. THeader puts
 * 0x0fff, flags, the id and a header of whole words between, which names the protocol within, transforms and pairs of
 * strings. `Service:method` is what a multiplexed client calls.
 */
const Form = { binary: 0, header: 1, compactInHeader: 2, compact: 3 } as const
/** Of a frame in the compact protocol: where the id begins, behind length, magic, and type with version. */
const compactIdAt = 6

export class ThriftCodec implements RpcCodec {
  readonly name = 'thrift'
  readonly idBits = 31
  private readonly names = new Names()
  private readonly varints = new VarintReader()

  measure(buf: Buffer, at: number, end: number, maxBytes: number): number {
    const there = end - at
    if (there < 4) return 0
    const length = buf.readInt32BE(at)
    if (length < 0) return FrameFault.length
    if (4 + length > maxBytes) return FrameFault.tooLong
    if (length < 4) return FrameFault.length
    if (there < 6) return 0
    if (isCompact(buf, at)) return 4 + length
    const isBinary = buf[at + 4] === 0x80 && buf[at + 5] === 0x01
    const isHeader = buf[at + 4] === 0x0f && buf[at + 5] === 0xff
    if (!isBinary && !isHeader) return FrameFault.magic
    return length < 12 ? FrameFault.length : 4 + length
  }

  read(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    frame.reset()
    frame.length = end - at
    if (isCompact(buf, at)) {
      frame.form = Form.compact
      return this.readCompact(buf, at, at + 4, end, frame)
    }
    return buf[at + 4] === 0x80 ? this.readBinary(buf, at, at + 4, end, frame) : this.readHeader(buf, at, end, frame)
  }

  private readBinary(buf: Buffer, at: number, from: number, end: number, frame: RpcFrame): number {
    if (from + 12 > end) return FrameFault.length
    const length = buf.readInt32BE(from + 4)
    if (length < 0 || length > end - from - 12) return FrameFault.length
    frame.methodFrom = from + 8 - at
    frame.methodTo = frame.methodFrom + length
    // In THeader the id stands before the message.
    if (frame.form === Form.binary) frame.idLow = buf.readUInt32BE(from + 8 + length)
    return this.readKind(buf, at, frame, buf[from + 3]!)
  }

  private readHeader(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    const { varints } = this
    frame.form = Form.header
    frame.idLow = buf.readUInt32BE(at + 8)
    if (end - at < 14) return FrameFault.length
    const from = at + 14
    const headEnd = from + buf.readUInt16BE(at + 12) * 4
    if (headEnd > end) return FrameFault.table
    varints.at = from
    if (!varints.read(buf, headEnd)) return FrameFault.table
    const protocol = varints.value
    if (!varints.read(buf, headEnd)) return FrameFault.table
    // What is compressed cannot be read.
    if (varints.value > 0 || (protocol !== 0 && protocol !== 2)) return FrameFault.version
    frame.tableFrom = varints.at - at
    frame.tableTo = headEnd - at
    const fault = this.eachPair(buf, at, frame, () => {})
    if (fault < 0) return fault
    if (protocol === 2) frame.form = Form.compactInHeader
    return protocol === 0
      ? this.readBinary(buf, at, headEnd, end, frame)
      : this.readCompact(buf, at, headEnd, end, frame)
  }

  private readCompact(buf: Buffer, at: number, from: number, end: number, frame: RpcFrame): number {
    const { varints } = this
    if (from + 2 > end || buf[from] !== 0x82) return FrameFault.magic
    varints.at = from + 2
    if (!varints.read(buf, end)) return FrameFault.length
    if (frame.form === Form.compact) frame.idLow = varints.value
    if (!varints.read(buf, end) || varints.value > end - varints.at) return FrameFault.length
    frame.methodFrom = varints.at - at
    frame.methodTo = frame.methodFrom + varints.value
    return this.readKind(buf, at, frame, buf[from + 1]! >> 5)
  }

  private readKind(buf: Buffer, at: number, frame: RpcFrame, type: number): number {
    if (type === MessageType.reply || type === MessageType.exception) {
      frame.kind = FrameKind.reply
      frame.code = type
      frame.status = type === MessageType.reply ? 200 : 500
      return 0
    }
    if (type !== MessageType.call && type !== MessageType.oneWay) return FrameFault.type
    frame.kind = type === MessageType.call ? FrameKind.request : FrameKind.oneWay
    const { methodFrom, methodTo } = frame
    if (!isNameBytes(buf, at + methodFrom, at + methodTo, frameBounds.nameBytes)) return FrameFault.name
    const colon = buf.subarray(at + methodFrom, at + methodTo).indexOf(0x3a)
    if (colon < 0) return 0
    frame.serviceFrom = methodFrom
    frame.serviceTo = methodFrom + colon
    frame.methodFrom = methodFrom + colon + 1
    return 0
  }

  /** Pairs of THeader: kind 1, how many, then names and values. Padding is zeros. */
  private eachPair(
    buf: Buffer,
    at: number,
    frame: RpcFrame,
    visit: (nameFrom: number, nameTo: number, valueFrom: number, valueTo: number) => void,
  ): number {
    const { varints } = this
    const end = at + frame.tableTo
    varints.at = at + frame.tableFrom
    if (frame.tableTo - frame.tableFrom > frameBounds.tableBytes) return FrameFault.string
    let pairs = 0
    while (varints.at < end) {
      if (!varints.read(buf, end)) return FrameFault.table
      if (varints.value !== 1) return 0
      if (!varints.read(buf, end)) return FrameFault.table
      let left = varints.value
      if ((pairs += left) > frameBounds.attributes) return FrameFault.string
      for (; left > 0; left--) {
        if (!varints.read(buf, end) || varints.value > end - varints.at) return FrameFault.table
        const nameFrom = varints.at
        const nameTo = nameFrom + varints.value
        varints.at = nameTo
        if (!varints.read(buf, end) || varints.value > end - varints.at) return FrameFault.table
        const valueFrom = varints.at
        varints.at = valueFrom + varints.value
        visit(nameFrom, nameTo, valueFrom, varints.at)
      }
    }
    return 0
  }

  rebuilt(buf: Buffer, at: number, end: number, frame: RpcFrame, _high: number, low: number): Buffer | null {
    if (frame.form !== Form.compact) return null
    const id = varint(low)
    const idTo = this.idEnd(buf, at, end)
    if (at + compactIdAt + id.length === idTo) return null
    const made = Buffer.concat([buf.subarray(at, at + compactIdAt), id, buf.subarray(idTo, end)])
    made.writeUInt32BE(made.length - 4, 0)
    return made
  }

  private idEnd(buf: Buffer, at: number, end: number): number {
    this.varints.at = at + compactIdAt
    this.varints.read(buf, end)
    return this.varints.at
  }

  writeId(buf: Buffer, at: number, _end: number, frame: RpcFrame, _high: number, low: number): void {
    if (frame.form === Form.compact) varint(low).copy(buf, at + compactIdAt)
    else buf.writeUInt32BE(low, frame.form === Form.binary ? at + frame.methodTo : at + 8)
  }

  attribute(buf: Buffer, at: number, frame: RpcFrame, name: string): string | undefined {
    if (frame.tableTo === frame.tableFrom) return undefined
    let found: string | undefined
    this.eachPair(buf, at, frame, (nameFrom, nameTo, valueFrom, valueTo) => {
      if (found === undefined && isSameName(buf, nameFrom, nameTo, name)) {
        found = buf.toString('utf8', valueFrom, valueTo)
      }
    })
    return found
  }

  eachAttribute(buf: Buffer, at: number, frame: RpcFrame, visit: AttributeVisitor): void {
    this.eachPair(buf, at, frame, (nameFrom, nameTo, valueFrom, valueTo) => {
      visit(this.names.get(buf, nameFrom, nameTo).toLowerCase(), buf.toString('utf8', valueFrom, valueTo))
    })
  }

  edited(_buf: Buffer, _at: number, _end: number, _frame: RpcFrame, _edits: AttributeEdits): null {
    return null
  }

  errorReply(buf: Buffer, at: number, _end: number, frame: RpcFrame, error: RpcError): Buffer {
    const method = buf.subarray(at + (frame.serviceTo > 0 ? frame.serviceFrom : frame.methodFrom), at + frame.methodTo)
    const text = `${error.code}  ${error.reason}`
    const isInHeader = frame.form === Form.compactInHeader
    const make = isInHeader || frame.form === Form.compact ? compactException : binaryException
    const message = make(method, frame.idLow, error.status, text)
    const isPlain = frame.form === Form.binary || frame.form === Form.compact
    const head = Buffer.alloc(isPlain ? 4 : 18)
    head.writeUInt32BE(head.length - 4 + message.length, 0)
    if (!isPlain) {
      head.writeUInt16BE(0x0f_ff, 4)
      head.writeUInt32BE(frame.idLow, 8)
      head.writeUInt16BE(1, 12)
      head[14] = isInHeader ? 2 : 0
    }
    return Buffer.concat([head, message])
  }

  heartbeatReply(): Buffer {
    return Buffer.alloc(0)
  }

  heartbeat(): null {
    return null
  }

  goAway(): null {
    return null
  }

  /** A length below 16 MiB, then the version of one of the two protocols or the magic of THeader. */
  detect(buf: Buffer, length: number): number {
    if (length > 0 && buf[0] !== 0) return -1
    if (length < 6) return 0
    const isBinary = buf[4] === 0x80 && buf[5] === 0x01
    return isBinary || isCompact(buf, 0) || (buf[4] === 0x0f && buf[5] === 0xff) ? 1 : -1
  }
}

/** Magic and version of the compact protocol; the type stands above the version. */
function isCompact(buf: Buffer, at: number): boolean {
  return buf[at + 4] === 0x82 && (buf[at + 5]! & 0x1f) === 1
}
