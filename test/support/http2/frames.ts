/** Frames by hand: what a test says on the wire, without the code under test. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
export const Flags = { none: 0, ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const

export const magic: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const body = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), word(value)]))
  return frame(Type.settings, 0, 0, Buffer.concat(body))
}

function integer(value: number): Buffer {
  if (value < 0x7f) return Buffer.from([value])
  const bytes = [0x7f]
  let rest = value - 0x7f
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Literals without a table. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      integer(name.length),
      Buffer.from(name, 'latin1'),
      integer(value.length),
      Buffer.from(value, 'latin1'),
    ]),
  )
}

export const getFields: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'orders'],
]
export const postFields: readonly (readonly [string, string])[] = [[':method', 'POST'], ...getFields.slice(1)]

/** A whole GET. */
export function get(streamId: number, more: readonly (readonly [string, string])[] = []): Buffer {
  return frame(Type.headers, Flags.endHeaders | Flags.endStream, streamId, block([...getFields, ...more]))
}

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/** Whole frames so far. */
export function framesOf(bytes: Buffer): Frame[] {
  const found: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    const streamId = bytes.readUInt32BE(at + 5)
    found.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, streamId, payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return found
}

/** What went wrong according to what was answered: `stream CODE`, `connection CODE`, or `nothing`. */
export function errorIn(bytes: Buffer): string {
  const frames = framesOf(bytes)
  const goAway = frames.find(({ type, payload }) => type === Type.goAway && payload.readUInt32BE(4) !== 0)
  if (goAway !== undefined) return `connection ${goAway.payload.readUInt32BE(4)}`
  const reset = frames.find(({ type, payload }) => type === Type.rstStream && payload.readUInt32BE(0) !== 0)
  return reset === undefined ? 'nothing' : `stream ${reset.payload.readUInt32BE(0)}`
}

/** A caller that says whatever it likes. */
export class RawH2Caller {
  readonly socket: Socket
  isClosed = false
  private readonly pieces: Buffer[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => this.pieces.push(piece))
    socket.on('error', () => {})
    socket.on('end', () => (this.isClosed = true))
    socket.on('close', () => (this.isClosed = true))
  }

  /** Connected, with preface and SETTINGS said. */
  static async to(port: number, first: Buffer = settings()): Promise<RawH2Caller> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise((resolve) => socket.once('connect', resolve))
    const caller = new RawH2Caller(socket)
    caller.send(magic, first)
    return caller
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces)
  }

  get frames(): Frame[] {
    return framesOf(this.bytes)
  }

  close(): void {
    this.socket.destroy()
  }
}
