import type { RpcDescription } from '../../contracts/rpc-description.ts'
import { headers } from '../../contracts/words.ts'
import type { AttributeEdits, AttributeVisitor, RpcCodec, RpcError } from '../codec.ts'
import { FrameFault, frameBounds, FrameKind } from '../frame.ts'
import type { RpcFrame } from '../frame.ts'
import { isNameBytes, isSameName, Names } from '../names.ts'
import { readNumber, writeNumber } from './number.ts'
import { PairTable } from './pair-table.ts'

const nothing = Buffer.alloc(0)

/** A codec made of a description without problems (`descriptionProblems`). */
export class DeclaredCodec implements RpcCodec {
  readonly name: string
  readonly idBits: number
  private readonly said: RpcDescription
  private readonly isLittle: boolean
  private readonly magic: Buffer
  private readonly table: PairTable
  private readonly names = new Names()
  private readonly kinds = new Map<number, FrameKind>()
  private readonly service: string
  /** '' = it has no name of its own. */
  private readonly fallback: string
  private readonly method: string
  private readonly timeout: string

  constructor(name: string, description: RpcDescription) {
    const { attributes, byteOrder, id, magic, type } = description
    this.name = name
    this.said = description
    this.isLittle = byteOrder === 'little'
    this.magic = Buffer.from(magic, 'hex')
    this.idBits = Math.min(31, id.bytes * 8)
    this.table = new PairTable(attributes.nameLengthBytes, attributes.valueLengthBytes, this.isLittle)
    this.service = attributes.service.toLowerCase()
    this.fallback = attributes.fallback?.toLowerCase() ?? ''
    this.method = attributes.method.toLowerCase()
    this.timeout = attributes.timeout?.toLowerCase() ?? ''
    for (const kind of ['request', 'oneWay', 'reply', 'heartbeat', 'heartbeatReply', 'goAway'] as const) {
      const value = type[kind]
      if (value !== undefined) this.kinds.set(value, FrameKind[kind])
    }
  }

  measure(buf: Buffer, at: number, end: number, maxBytes: number): number {
    const { isLittle, magic } = this
    const { headBytes, length, version } = this.said
    const there = end - at
    for (let n = 0; n < magic.length && n < there; n++) if (buf[at + n] !== magic[n]) return FrameFault.magic
    if (there < headBytes) return 0
    if (version !== undefined && !version.values.includes(readNumber(buf, at + version.at, version.bytes, isLittle))) {
      return FrameFault.version
    }
    const said = readNumber(buf, at + length.at, length.bytes, isLittle)
    // 32 bits with the first one set are a number below 0 where the protocol has such
    if (length.bytes === 4 && said > 0x7f_ff_ff_ff) return FrameFault.length
    const whole = said + this.notCounted
    if (whole < headBytes) return FrameFault.length
    return whole > maxBytes ? FrameFault.tooLong : whole
  }

  /** Bytes of a frame that its length does not count. */
  private get notCounted(): number {
    const { headBytes, length } = this.said
    if (length.counts === 'frame') return 0
    return length.counts === 'behind-head' ? headBytes : length.at + length.bytes
  }

  read(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    const { isLittle } = this
    const { attributes, headBytes, id, status, timeout, type } = this.said
    frame.reset()
    frame.length = end - at
    const kind = this.kinds.get(readNumber(buf, at + type.at, type.bytes, isLittle) & type.mask)
    if (kind === undefined) return FrameFault.type
    frame.kind = kind
    this.readId(buf, at + id.at, frame)
    frame.tableFrom = headBytes
    frame.tableTo = headBytes + readNumber(buf, at + attributes.length.at, attributes.length.bytes, isLittle)
    if (frame.tableTo > frame.length) return FrameFault.table
    if (kind === FrameKind.reply) {
      frame.code = readNumber(buf, at + status.at, status.bytes, isLittle)
      frame.status = status.ok.includes(frame.code) ? 200 : (status.http[frame.code] ?? 500)
      return 0
    }
    if (kind !== FrameKind.request && kind !== FrameKind.oneWay) return 0
    if (timeout !== undefined) {
      frame.timeoutMs = readNumber(buf, at + timeout.at, timeout.bytes, isLittle) || -1
    }
    return this.readTable(buf, at, frame)
  }

  private readId(buf: Buffer, at: number, frame: RpcFrame): void {
    const { bytes } = this.said.id
    if (bytes <= 4) {
      frame.idLow = readNumber(buf, at, bytes, this.isLittle)
      return
    }
    const high = bytes - 4
    frame.idLow = readNumber(buf, this.isLittle ? at : at + high, 4, this.isLittle)
    frame.idHigh = readNumber(buf, this.isLittle ? at + 4 : at, high, this.isLittle)
  }

  private readTable(buf: Buffer, at: number, frame: RpcFrame): number {
    const { method, service, table, timeout } = this
    const to = at + frame.tableTo
    let from = at + frame.tableFrom
    if (to - from > frameBounds.tableBytes) return FrameFault.string
    for (let count = 0; from < to; count++) {
      if (count >= frameBounds.attributes) return FrameFault.string
      const next = table.step(buf, from, to)
      if (next < 0) return FrameFault.table
      const { nameFrom, nameTo, valueFrom } = table
      if (isSameName(buf, nameFrom, nameTo, service)) {
        frame.serviceFrom = valueFrom - at
        frame.serviceTo = next - at
      } else if (isSameName(buf, nameFrom, nameTo, method)) {
        frame.methodFrom = valueFrom - at
        frame.methodTo = next - at
      } else if (timeout !== '' && isSameName(buf, nameFrom, nameTo, timeout)) {
        const said = next - valueFrom < 10 ? Number(buf.toString('latin1', valueFrom, next)) : 0
        if (said > 0) frame.timeoutMs = said
      }
      from = next
    }
    const isGood =
      isNameBytes(buf, at + frame.serviceFrom, at + frame.serviceTo, frameBounds.nameBytes) &&
      isNameBytes(buf, at + frame.methodFrom, at + frame.methodTo, frameBounds.nameBytes)
    return isGood ? 0 : FrameFault.name
  }

  rebuilt(): null {
    return null
  }

  writeId(buf: Buffer, at: number, _end: number, _frame: RpcFrame, high: number, low: number): void {
    this.putId(buf, at, high, low)
  }

  private putId(buf: Buffer, at: number, high: number, low: number): void {
    const { isLittle } = this
    const { id } = this.said
    const from = at + id.at
    if (id.bytes <= 4) {
      writeNumber(buf, low, from, id.bytes, isLittle)
      return
    }
    writeNumber(buf, low, isLittle ? from : from + id.bytes - 4, 4, isLittle)
    writeNumber(buf, high, isLittle ? from + 4 : from, id.bytes - 4, isLittle)
  }

  attribute(buf: Buffer, at: number, frame: RpcFrame, name: string): string | undefined {
    const own = name === headers.fallback && this.fallback !== '' ? this.fallback : name
    return this.table.find(buf, at + frame.tableFrom, at + frame.tableTo, own)
  }

  eachAttribute(buf: Buffer, at: number, frame: RpcFrame, visit: AttributeVisitor): void {
    this.table.visit(buf, at + frame.tableFrom, at + frame.tableTo, this.names, visit)
  }

  edited(buf: Buffer, at: number, end: number, frame: RpcFrame, edits: AttributeEdits): Buffer | null {
    const table = this.table.edited(buf, at + frame.tableFrom, at + frame.tableTo, edits)
    return this.withTable(buf.subarray(at, at + this.said.headBytes), table, buf.subarray(at + frame.tableTo, end))
  }

  /** null where the table grew beyond its length. */
  private withTable(head: Buffer, table: Buffer | null, content: Buffer): Buffer | null {
    const { attributes, length } = this.said
    if (table === null || table.length > 2 ** (8 * attributes.length.bytes) - 1) return null
    const made = Buffer.concat([head, table, content])
    writeNumber(made, table.length, attributes.length.at, attributes.length.bytes, this.isLittle)
    writeNumber(made, made.length - this.notCounted, length.at, length.bytes, this.isLittle)
    return made
  }

  errorReply(buf: Buffer, at: number, _end: number, _frame: RpcFrame, error: RpcError): Buffer {
    const { attributes, status } = this.said
    const found = Object.entries(status.http).find(([, http]) => http === error.status)
    const head = this.headLike(buf, at, this.said.type.reply)
    writeNumber(head, found === undefined ? status.error : Number(found[0]), status.at, status.bytes, this.isLittle)
    const add = [
      [attributes.errorCode, error.code],
      [attributes.errorReason, error.reason],
    ] as const
    const table = this.table.edited(nothing, 0, 0, { drop: new Set(), add })
    return this.withTable(head, table, nothing) ?? this.withTable(head, nothing, nothing)!
  }

  heartbeatReply(buf: Buffer, at: number, _end: number, _frame: RpcFrame): Buffer {
    return this.withTable(this.headLike(buf, at, this.said.type.heartbeatReply!), nothing, nothing)!
  }

  /** The head of what is answered, of another type, without its time-out or status. */
  private headLike(buf: Buffer, at: number, type: number): Buffer {
    const { headBytes, status, timeout } = this.said
    const head = Buffer.from(buf.subarray(at, at + headBytes))
    if (timeout !== undefined) writeNumber(head, 0, timeout.at, timeout.bytes, this.isLittle)
    writeNumber(head, status.ok[0]!, status.at, status.bytes, this.isLittle)
    this.writeType(head, type)
    return head
  }

  private writeType(head: Buffer, value: number): void {
    const { type } = this.said
    const others = readNumber(head, type.at, type.bytes, this.isLittle) & ~type.mask
    writeNumber(head, others | value, type.at, type.bytes, this.isLittle)
  }

  heartbeat(id: number): Buffer | null {
    const { heartbeat } = this.said.type
    return heartbeat === undefined ? null : this.word(heartbeat, id)
  }

  goAway(): Buffer | null {
    const { goAway } = this.said.type
    return goAway === undefined ? null : this.word(goAway, 0)
  }

  private word(type: number, id: number): Buffer {
    const { headBytes, version } = this.said
    const head = Buffer.alloc(headBytes)
    this.magic.copy(head)
    if (version !== undefined) writeNumber(head, version.values[0]!, version.at, version.bytes, this.isLittle)
    this.writeType(head, type)
    const made = this.withTable(head, nothing, nothing)!
    this.putId(made, 0, 0, id)
    return made
  }

  detect(buf: Buffer, length: number): number {
    const { magic } = this
    for (let n = 0; n < magic.length; n++) {
      if (n >= length) return 0
      if (buf[n] !== magic[n]) return -1
    }
    return 1
  }
}
