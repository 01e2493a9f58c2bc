/** Frames of Bolt as an application writes them, for tests. */
import { crc32 } from 'node:zlib'

export interface BoltParts {
  readonly version?: 1 | 2
  readonly crc?: boolean
  readonly type?: number
  readonly command?: number
  readonly id?: number
  readonly timeoutMs?: number
  readonly status?: number
  readonly className?: string
  readonly attributes?: readonly (readonly [string, string])[]
  /** In place of the table that `attributes` make. */
  readonly table?: Buffer
  readonly content?: Buffer
}

export function stringTable(pairs: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = []
  for (const text of pairs.flat()) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(Buffer.byteLength(text))
    parts.push(length, Buffer.from(text))
  }
  return Buffer.concat(parts)
}

export function boltFrame(parts: BoltParts = {}): Buffer {
  const { version = 1, type = 1, id = 7, className = 'com.alipay.sofa.rpc.core.request.SofaRequest' } = parts
  const table = parts.table ?? stringTable(parts.attributes ?? [])
  const content = parts.content ?? Buffer.alloc(0)
  const lead = version === 1 ? [1] : [2, parts.crc === true ? 2 : 1]
  const command = parts.command ?? (type === 0 ? 2 : 1)
  const middle = Buffer.alloc(9)
  middle[0] = type
  middle.writeUInt16BE(command, 1)
  middle[3] = 1
  middle.writeUInt32BE(id, 4)
  middle[8] = 1
  const rest = Buffer.alloc(type === 0 ? 2 : 4)
  if (type === 0) rest.writeUInt16BE(parts.status ?? 0)
  else rest.writeInt32BE(parts.timeoutMs ?? 3000)
  const lengths = Buffer.alloc(8)
  lengths.writeInt16BE(Buffer.byteLength(className), 0)
  lengths.writeInt16BE(table.length, 2)
  lengths.writeInt32BE(content.length, 4)
  const switches = version === 2 ? Buffer.from([parts.crc === true ? 1 : 0]) : Buffer.alloc(0)
  const frame = Buffer.concat([
    Buffer.from(lead),
    middle,
    switches,
    rest,
    lengths,
    Buffer.from(className),
    table,
    content,
  ])
  if (parts.crc !== true) return frame
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(frame))
  return Buffer.concat([frame, checksum])
}

export function boltRequest(service: string, method: string, parts: BoltParts = {}): Buffer {
  const attributes = [
    ['sofa_head_target_service', service],
    ['sofa_head_method_name', method],
    ...(parts.attributes ?? []),
  ] as const
  return boltFrame({ ...parts, attributes })
}
