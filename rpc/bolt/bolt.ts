import type { AttributeEdits, AttributeVisitor, RpcCodec, RpcError } from '../codec.ts'
import { crcChange } from '../crc-shift.ts'
import { FrameFault, frameBounds, FrameKind } from '../frame.ts'
import type { RpcFrame } from '../frame.ts'
import { isNameBytes, isSameName, Names } from '../names.ts'
import { editedTable, findInTable, pairBytes, visitTable } from '../string-table.ts'
import {
  BoltCommand,
  boltStatusOf,
  BoltType,
  crcBytes,
  headBytes,
  httpStatusOfBolt,
  restAt,
  shiftOf,
} from './layout.ts'

/** Of SOFARPC's header (`RemotingConstants`). */
const serviceName = 'sofa_head_target_service'
const methodName = 'sofa_head_method_name'
/** Bolt's number for Hessian 2, the serialization of frames without content. */
const hessian = 1

const was = Buffer.alloc(4)
const becomes = Buffer.alloc(4)

/** SOFA's Bolt, versions 1 and 2, with the attributes of SOFARPC. */
export class BoltCodec implements RpcCodec {
  readonly name = 'bolt'
  readonly idBits = 31
  private readonly names = new Names()

  measure(buf: Buffer, at: number, end: number, maxBytes: number): number {
    if (end === at) return 0
    const protocol = buf[at]!
    if (protocol !== 1 && protocol !== 2) return FrameFault.magic
    const shift = shiftOf(protocol)
    if (end - at < 2 + shift) return 0
    if (shift === 1 && (buf[at + 1]! < 1 || buf[at + 1]! > 2)) return FrameFault.version
    const type = buf[at + 1 + shift]!
    if (type > BoltType.oneWay) return FrameFault.type
    const head = headBytes(shift, type)
    if (end - at < head) return 0
    const lengthsAt = at + head - 8
    const classBytes = buf.readInt16BE(lengthsAt)
    const tableBytes = buf.readInt16BE(lengthsAt + 2)
    const contentBytes = buf.readInt32BE(lengthsAt + 4)
    if (classBytes < 0 || tableBytes < 0 || contentBytes < 0) return FrameFault.length
    const length = head + classBytes + tableBytes + contentBytes + this.crcOf(buf, at, shift)
    return length > maxBytes ? FrameFault.tooLong : length
  }

  private crcOf(buf: Buffer, at: number, shift: 0 | 1): number {
    return shift === 1 && buf[at + 1] === 2 && (buf[at + 11]! & 1) === 1 ? crcBytes : 0
  }

  read(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    frame.reset()
    frame.length = end - at
    const shift = shiftOf(buf[at]!)
    const type = buf[at + 1 + shift]!
    const head = headBytes(shift, type)
    const idAt = at + 5 + shift
    frame.form = shift
    frame.idLow = ((buf[idAt]! << 24) | (buf[idAt + 1]! << 16) | (buf[idAt + 2]! << 8) | buf[idAt + 3]!) >>> 0
    const command = (buf[at + 2 + shift]! << 8) | buf[at + 3 + shift]!
    frame.tableFrom = head + buf.readInt16BE(at + head - 8)
    frame.tableTo = frame.tableFrom + buf.readInt16BE(at + head - 6)
    if (type === BoltType.reply) return this.readReply(buf, at, frame, command, restAt(shift))
    if (command === BoltCommand.heartbeat) frame.kind = FrameKind.heartbeat
    else if (command === BoltCommand.goAway) frame.kind = FrameKind.goAway
    else if (command === BoltCommand.request)
      frame.kind = type === BoltType.oneWay ? FrameKind.oneWay : FrameKind.request
    else return FrameFault.type
    if (frame.kind === FrameKind.heartbeat || frame.kind === FrameKind.goAway) return 0
    const timeoutMs = buf.readInt32BE(at + restAt(shift))
    frame.timeoutMs = timeoutMs > 0 ? timeoutMs : -1
    return this.readTable(buf, at, frame)
  }

  private readReply(buf: Buffer, at: number, frame: RpcFrame, command: number, statusAt: number): number {
    frame.code = buf.readUInt16BE(at + statusAt)
    frame.status = httpStatusOfBolt(frame.code)
    frame.kind = command === BoltCommand.heartbeat ? FrameKind.heartbeatReply : FrameKind.reply
    return command === BoltCommand.heartbeat || command === BoltCommand.reply ? 0 : FrameFault.type
  }

  /** Finds service and method, and that the table ends where it says. */
  private readTable(buf: Buffer, at: number, frame: RpcFrame): number {
    const to = at + frame.tableTo
    let from = at + frame.tableFrom
    for (let count = 0; from < to; count++) {
      if (count >= frameBounds.attributes) return FrameFault.string
      if (from + 8 > to) return FrameFault.table
      const nameLength = buf.readInt32BE(from)
      if (nameLength < -1 || nameLength > to - from - 8) return FrameFault.table
      const nameFrom = from + 4
      const nameTo = nameFrom + (nameLength < 0 ? 0 : nameLength)
      const valueLength = buf.readInt32BE(nameTo)
      if (valueLength < -1 || valueLength > to - nameTo - 4) return FrameFault.table
      const valueFrom = nameTo + 4
      from = valueFrom + (valueLength < 0 ? 0 : valueLength)
      if (nameLength === serviceName.length && isSameName(buf, nameFrom, nameTo, serviceName)) {
        frame.serviceFrom = valueFrom - at
        frame.serviceTo = from - at
      } else if (nameLength === methodName.length && isSameName(buf, nameFrom, nameTo, methodName)) {
        frame.methodFrom = valueFrom - at
        frame.methodTo = from - at
      }
    }
    const { methodFrom, methodTo, serviceFrom, serviceTo } = frame
    const isGood =
      isNameBytes(buf, at + serviceFrom, at + serviceTo, frameBounds.nameBytes) &&
      isNameBytes(buf, at + methodFrom, at + methodTo, frameBounds.nameBytes)
    return isGood ? 0 : FrameFault.name
  }

  rebuilt(): null {
    return null
  }

  writeId(buf: Buffer, at: number, end: number, frame: RpcFrame, _high: number, low: number): void {
    const idAt = at + 5 + frame.form
    const crc = this.crcOf(buf, at, frame.form as 0 | 1)
    if (crc > 0) {
      buf.copy(was, 0, idAt, idAt + 4)
      becomes.writeUInt32BE(low, 0)
      const change = crcChange(was, becomes, 4, end - crc - (idAt + 4))
      buf.writeUInt32BE((buf.readUInt32BE(end - crc) ^ change) >>> 0, end - crc)
    }
    buf[idAt] = low >>> 24
    buf[idAt + 1] = low >>> 16
    buf[idAt + 2] = low >>> 8
    buf[idAt + 3] = low
  }

  attribute(buf: Buffer, at: number, frame: RpcFrame, name: string): string | undefined {
    return findInTable(buf, at + frame.tableFrom, at + frame.tableTo, name)
  }

  eachAttribute(buf: Buffer, at: number, frame: RpcFrame, visit: AttributeVisitor): void {
    visitTable(buf, at + frame.tableFrom, at + frame.tableTo, this.names, visit)
  }

  /** null for a frame with a checksum, which would have to be read whole, and for a table that grows too long. */
  edited(buf: Buffer, at: number, end: number, frame: RpcFrame, edits: AttributeEdits): Buffer | null {
    if (this.crcOf(buf, at, frame.form as 0 | 1) > 0) return null
    const table = editedTable(buf, at + frame.tableFrom, at + frame.tableTo, edits)
    if (table.length > 0x7f_ff) return null
    const made = Buffer.concat([buf.subarray(at, at + frame.tableFrom), table, buf.subarray(at + frame.tableTo, end)])
    const shift = frame.form as 0 | 1
    made.writeInt16BE(table.length, headBytes(shift, made[1 + shift]!) - 6)
    return made
  }

  errorReply(buf: Buffer, at: number, _end: number, frame: RpcFrame, error: RpcError): Buffer {
    const table = Buffer.concat([pairBytes('x-mesh-error', error.code), pairBytes('x-mesh-reason', error.reason)])
    return this.reply(buf, at, frame, BoltCommand.reply, boltStatusOf(error.status, error.code), table)
  }

  heartbeatReply(buf: Buffer, at: number, _end: number, frame: RpcFrame): Buffer {
    return this.reply(buf, at, frame, BoltCommand.heartbeat, 0, Buffer.alloc(0))
  }

  /** In the version and under the id of what it answers, without a checksum. */
  private reply(buf: Buffer, at: number, frame: RpcFrame, command: number, status: number, table: Buffer): Buffer {
    const shift = frame.form as 0 | 1
    const head = headBytes(shift, BoltType.reply)
    const made = Buffer.alloc(head + table.length)
    buf.copy(made, 0, at, at + 10 + shift)
    made[1 + shift] = BoltType.reply
    made.writeUInt16BE(command, 2 + shift)
    made.writeUInt16BE(status, restAt(shift))
    made.writeInt16BE(table.length, head - 6)
    table.copy(made, head)
    return made
  }

  /** In version 1, which servers of both versions read. */
  heartbeat(id: number): Buffer {
    return this.word(BoltCommand.heartbeat, id)
  }

  goAway(): Buffer {
    return this.word(BoltCommand.goAway, 0)
  }

  private word(command: number, id: number): Buffer {
    const made = Buffer.alloc(headBytes(0, BoltType.request))
    made[0] = 1
    made[1] = BoltType.request
    made.writeUInt16BE(command, 2)
    made[4] = 1
    made.writeUInt32BE(id, 5)
    made[9] = hessian
    return made
  }

  /** A first frame is a request or a heartbeat. */
  detect(buf: Buffer, length: number): number {
    if (length === 0) return 0
    const protocol = buf[0]!
    if (protocol !== 1 && protocol !== 2) return -1
    const shift = shiftOf(protocol)
    if (shift === 1 && length > 1 && (buf[1]! < 1 || buf[1]! > 2)) return -1
    if (length < 4 + shift) return 0
    const type = buf[1 + shift]!
    const command = buf.readUInt16BE(2 + shift)
    const isFirst = command === BoltCommand.heartbeat || command === BoltCommand.request
    return (type === BoltType.request || type === BoltType.oneWay) && isFirst ? 1 : -1
  }
}
