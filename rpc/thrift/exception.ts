import { varint } from './varint.ts'

/** Of a message, as both protocols number it. */
export const MessageType = { call: 1, reply: 2, exception: 3, oneWay: 4 } as const

/** `TApplicationException`: kinds of failures that every client knows. */
const Kind = { unknownMethod: 1, internal: 6 } as const

/** A TApplicationException as a whole message in the binary protocol. */
export function binaryException(method: Buffer, id: number, status: number, text: string): Buffer {
  const message = Buffer.from(text)
  const head = Buffer.alloc(8)
  head.writeUInt32BE((0x80_01_00_00 | MessageType.exception) >>> 0, 0)
  head.writeUInt32BE(method.length, 4)
  const fields = Buffer.alloc(4 + 7 + message.length + 7 + 1)
  fields.writeUInt32BE(id, 0)
  fields[4] = 0x0b
  fields.writeUInt16BE(1, 5)
  fields.writeUInt32BE(message.length, 7)
  message.copy(fields, 11)
  const at = 11 + message.length
  fields[at] = 0x08
  fields.writeUInt16BE(2, at + 1)
  fields.writeUInt32BE(kindOf(status), at + 3)
  return Buffer.concat([head, method, fields])
}

/** The same in the compact protocol. */
export function compactException(method: Buffer, id: number, status: number, text: string): Buffer {
  const message = Buffer.from(text)
  return Buffer.concat([
    Buffer.from([0x82, (MessageType.exception << 5) | 1]),
    varint(id),
    varint(method.length),
    method,
    Buffer.from([0x18]),
    varint(message.length),
    message,
    Buffer.from([0x15, kindOf(status) * 2, 0x00]),
  ])
}

function kindOf(status: number): number {
  return status === 404 ? Kind.unknownMethod : Kind.internal
}
