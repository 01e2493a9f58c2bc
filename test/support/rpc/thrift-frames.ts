/** Frames of Thrift as an application writes them, for tests. */
import { varint } from '../../../rpc/thrift/varint.ts'

const int = (value: number): Buffer => {
  const made = Buffer.alloc(4)
  made.writeInt32BE(value | 0)
  return made
}

export function binaryMessage(type: number, method: string, id: number, content: Buffer): Buffer {
  const name = Buffer.from(method)
  return Buffer.concat([int(0x80_01_00_00 | type), int(name.length), name, int(id), content])
}

export function thriftFrame(message: Buffer): Buffer {
  return Buffer.concat([int(message.length), message])
}

/** Short strings only. */
export function headerFrame(
  id: number,
  protocol: number,
  pairs: readonly (readonly [string, string])[],
  message: Buffer,
): Buffer {
  const strings = pairs.flat().flatMap((text) => [Buffer.from([text.length]), Buffer.from(text)])
  const info = Buffer.concat([Buffer.from([protocol, 0, 1, pairs.length]), ...strings])
  const padded = Buffer.concat([info, Buffer.alloc((4 - (info.length % 4)) % 4)])
  const head = Buffer.alloc(10)
  head.writeUInt16BE(0x0f_ff, 0)
  head.writeUInt32BE(id, 4)
  head.writeUInt16BE(padded.length / 4, 8)
  return thriftFrame(Buffer.concat([head, padded, message]))
}

/** Names below 128. */
export function compactMessage(type: number, method: string, id: number, content: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([0x82, (type << 5) | 1]),
    varint(id),
    Buffer.from([method.length]),
    Buffer.from(method),
    content,
  ])
}
