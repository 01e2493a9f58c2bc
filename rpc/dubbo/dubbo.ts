import type { AttributeEdits, AttributeVisitor, RpcCodec, RpcError } from '../codec.ts'
import { FrameFault, frameBounds, FrameKind } from '../frame.ts'
import type { RpcFrame } from '../frame.ts'
import { isNameBytes, isSameName, Names } from '../names.ts'
import { argumentCount, hessianString, HessianWalk } from './hessian.ts'

/**
 * Dubbo 2. Sources: apache/dubbo, `ExchangeCodec`, `DubboCodec`, `DecodeableRpcInvocation`.
 *
 * | bytes | |
 * |---|---|
 * | 0 | magic 0xdabb |
 * | 2 | flags: request, wants a reply, event; the serialization in the low five bits |
 * | 3 | status of a reply |
 * | 4 | id |
 * | 12 | length of the body |
 *
 * The body of a request is its version of Dubbo, service, version of the service, method, types, arguments and, last,
 * the attachments.
 */
const headBytes = 16
const Flag = { request: 0x80, twoWay: 0x40, event: 0x20 } as const
const serializationMask = 0x1f
const hessian2 = 2
const okStatus = 20
/** Hessian: null, and the word READONLY_EVENT. */
const nullBody = Buffer.from([0x4e])
const readOnlyBody = Buffer.from([0x01, 0x52])

/** Statuses of `Response` in the words of HTTP. */
const httpStatuses: Readonly<Record<number, number>> = {
  20: 200,
  30: 504,
  31: 504,
  40: 400,
  50: 502,
  60: 404,
  70: 500,
  80: 500,
  90: 502,
  100: 503,
}

function dubboStatusOf({ status }: RpcError): number {
  if (status === 404) return 60
  if (status === 504 || status === 408) return 31
  if (status === 429) return 100
  if (status === 400) return 40
  return 80
}

export class DubboCodec implements RpcCodec {
  readonly name = 'dubbo'
  readonly idBits = 31
  private readonly names = new Names()
  private readonly walk = new HessianWalk()

  measure(buf: Buffer, at: number, end: number, maxBytes: number): number {
    const there = end - at
    if (there > 0 && buf[at] !== 0xda) return FrameFault.magic
    if (there > 1 && buf[at + 1] !== 0xbb) return FrameFault.magic
    if (there < headBytes) return 0
    const length = buf.readInt32BE(at + 12)
    if (length < 0) return FrameFault.length
    return headBytes + length > maxBytes ? FrameFault.tooLong : headBytes + length
  }

  read(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    const flags = buf[at + 2]!
    frame.reset()
    frame.length = end - at
    frame.form = flags & serializationMask
    frame.idHigh = buf.readUInt32BE(at + 4)
    frame.idLow = buf.readUInt32BE(at + 8)
    const isRequest = (flags & Flag.request) !== 0
    if ((flags & Flag.event) !== 0) {
      frame.kind = isRequest ? this.eventKind(buf, at + headBytes, end, flags) : FrameKind.heartbeatReply
      return 0
    }
    if (!isRequest) {
      frame.kind = FrameKind.reply
      frame.code = buf[at + 3]!
      frame.status = httpStatuses[frame.code] ?? 500
      return 0
    }
    frame.kind = (flags & Flag.twoWay) === 0 ? FrameKind.oneWay : FrameKind.request
    // Another serialization passes without names: the listener says the service.
    return frame.form === hessian2 ? this.readCall(buf, at, end, frame) : 0
  }

  /** A server that is about to stop says that it is read-only. */
  private eventKind(buf: Buffer, from: number, end: number, flags: number): FrameKind {
    if (end - from === readOnlyBody.length && readOnlyBody.equals(buf.subarray(from, end))) return FrameKind.goAway
    return (flags & Flag.twoWay) === 0 ? FrameKind.notice : FrameKind.heartbeat
  }

  private readCall(buf: Buffer, at: number, end: number, frame: RpcFrame): number {
    const { walk } = this
    walk.begin(buf, at + headBytes, end)
    if (!walk.string() || !walk.string()) return FrameFault.string
    frame.serviceFrom = walk.textFrom - at
    frame.serviceTo = walk.textTo - at
    if (!walk.string() || !walk.string()) return FrameFault.string
    frame.methodFrom = walk.textFrom - at
    frame.methodTo = walk.textTo - at
    const isGood =
      isNameBytes(buf, at + frame.serviceFrom, at + frame.serviceTo, frameBounds.nameBytes) &&
      isNameBytes(buf, at + frame.methodFrom, at + frame.methodTo, frameBounds.nameBytes)
    if (!isGood) return FrameFault.name
    if (!walk.string()) return FrameFault.string
    this.findAttachments(buf, at, end, frame, argumentCount(buf, walk.textFrom, walk.textTo))
    return 0
  }

  /** Arguments that are too large or too deep to be walked over leave a request without attributes. */
  private findAttachments(buf: Buffer, at: number, end: number, frame: RpcFrame, count: number): void {
    const { walk } = this
    if (count < 0) return
    for (let n = 0; n < count; n++) if (!walk.skip()) return
    if (walk.peek() !== 0x48) return
    const from = walk.at + 1
    walk.at = from
    while (walk.peek() !== 0x5a) {
      if (!walk.string()) return
      const isTimeout = isSameName(buf, walk.textFrom, walk.textTo, 'timeout')
      if (!this.readValue(buf, frame, isTimeout)) return
    }
    if (walk.at + 1 !== end || walk.at - from > frameBounds.tableBytes) return
    frame.tableFrom = from - at
    frame.tableTo = walk.at - at
  }

  private readValue(buf: Buffer, frame: RpcFrame, isTimeout: boolean): boolean {
    const { walk } = this
    if (!isTimeout || !isStringTag(walk.peek())) return walk.skip()
    if (!walk.string()) return false
    const said = walk.textTo - walk.textFrom < 10 ? Number(buf.toString('latin1', walk.textFrom, walk.textTo)) : 0
    if (said > 0) frame.timeoutMs = said
    return true
  }

  rebuilt(): null {
    return null
  }

  writeId(buf: Buffer, at: number, _end: number, _frame: RpcFrame, high: number, low: number): void {
    buf.writeUInt32BE(high, at + 4)
    buf.writeUInt32BE(low, at + 8)
  }

  attribute(buf: Buffer, at: number, frame: RpcFrame, name: string): string | undefined {
    const { walk } = this
    walk.begin(buf, at + frame.tableFrom, at + frame.tableTo)
    while (!walk.isAtEnd) {
      if (!walk.string()) return undefined
      const isIt = isSameName(buf, walk.textFrom, walk.textTo, name) && isStringTag(walk.peek())
      if (isIt) return walk.string() ? buf.toString('utf8', walk.textFrom, walk.textTo) : undefined
      if (!walk.skip()) return undefined
    }
    return undefined
  }

  eachAttribute(buf: Buffer, at: number, frame: RpcFrame, visit: AttributeVisitor): void {
    this.eachPair(buf, at, frame, (name, value) => {
      if (value !== null) visit(name, value)
    })
  }

  /** `value`: null = no string. */
  private eachPair(
    buf: Buffer,
    at: number,
    frame: RpcFrame,
    visit: (name: string, value: string | null, from: number, to: number) => void,
  ): void {
    const { walk } = this
    walk.begin(buf, at + frame.tableFrom, at + frame.tableTo)
    while (!walk.isAtEnd) {
      const from = walk.at
      if (!walk.string()) return
      const name = this.names.get(buf, walk.textFrom, walk.textTo).toLowerCase()
      const isString = isStringTag(walk.peek())
      if (isString ? !walk.string() : !walk.skip()) return
      visit(name, isString ? buf.toString('utf8', walk.textFrom, walk.textTo) : null, from, walk.at)
    }
  }

  edited(buf: Buffer, at: number, end: number, frame: RpcFrame, edits: AttributeEdits): Buffer | null {
    if (frame.tableFrom === 0) return null
    const parts = [buf.subarray(at, at + frame.tableFrom)]
    this.eachPair(buf, at, frame, (name, _value, from, to) => {
      if (!edits.drop.has(name)) parts.push(buf.subarray(from, to))
    })
    for (const text of edits.add.flat()) {
      const written = hessianString(text)
      if (written === null) return null
      parts.push(written)
    }
    parts.push(buf.subarray(at + frame.tableTo, end))
    const made = Buffer.concat(parts)
    made.writeInt32BE(made.length - headBytes, 12)
    return made
  }

  /** The body of a reply that failed is its message alone. */
  errorReply(_buf: Buffer, _at: number, _end: number, frame: RpcFrame, error: RpcError): Buffer {
    const message = hessianString(`${error.code}  ${error.reason}`) ?? nullBody
    return answer(frame, 0, dubboStatusOf(error), message)
  }

  /** Its body is null in whatever serialization. */
  heartbeatReply(buf: Buffer, at: number, end: number, frame: RpcFrame): Buffer {
    return answer(frame, Flag.event, okStatus, Buffer.from(buf.subarray(at + headBytes, end)))
  }

  heartbeat(id: number): Buffer {
    return event(Flag.request | Flag.twoWay | Flag.event, id, nullBody)
  }

  goAway(): Buffer {
    return event(Flag.request | Flag.event, 0, readOnlyBody)
  }

  detect(buf: Buffer, length: number): number {
    if (length > 0 && buf[0] !== 0xda) return -1
    if (length > 1) return buf[1] === 0xbb ? 1 : -1
    return 0
  }
}

function isStringTag(tag: number): boolean {
  return (tag >= 0 && tag <= 0x1f) || (tag >= 0x30 && tag <= 0x33) || tag === 0x53
}

/** Under the id and in the serialization of what it answers. */
function answer(frame: RpcFrame, flags: number, status: number, body: Buffer): Buffer {
  const made = event(flags | (frame.form === 0 ? hessian2 : frame.form), frame.idLow, body)
  made[3] = status
  made.writeUInt32BE(frame.idHigh, 4)
  return made
}

function event(flags: number, id: number, body: Buffer): Buffer {
  const made = Buffer.alloc(headBytes + body.length)
  made.writeUInt16BE(0xda_bb, 0)
  made[2] = (flags & serializationMask) === 0 ? flags | hessian2 : flags
  made.writeUInt32BE(id, 8)
  made.writeInt32BE(body.length, 12)
  body.copy(made, headBytes)
  return made
}
