/** The protocol of the examples, as its owner describes it, and its frames as an application writes them. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { rpcProtocolSchema } from '../../../agent/control/config/rpc-schema.ts'
import type { RpcDescription } from '../../../contracts/rpc-description.ts'

/** As `examples/rpc/mainstay.yaml` describes it. */
export function mainstayDescription(): RpcDescription {
  const { rpcProtocols } = parse(readFileSync('examples/rpc/mainstay.yaml', 'utf8')) as { rpcProtocols: unknown[] }
  const { name: _name, ...description } = rpcProtocolSchema.parse(rpcProtocols[0])
  return description
}

export interface MainstayParts {
  readonly type?: number
  readonly version?: number
  readonly id?: number
  readonly status?: number
  readonly timeoutMs?: number
  readonly attributes?: readonly (readonly [string, string])[]
  readonly table?: Buffer
  readonly content?: Buffer
}

export function mainstayTable(attributes: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of attributes) {
    const lengths = Buffer.alloc(3)
    lengths[0] = Buffer.byteLength(name)
    lengths.writeUInt16BE(Buffer.byteLength(value), 1)
    parts.push(lengths.subarray(0, 1), Buffer.from(name), lengths.subarray(1), Buffer.from(value))
  }
  return Buffer.concat(parts)
}

export function mainstayFrame(parts: MainstayParts = {}): Buffer {
  const { type = 1, version = 1, id = 7, status = 0, timeoutMs = 0, content = Buffer.alloc(0) } = parts
  const table = parts.table ?? mainstayTable(parts.attributes ?? [])
  const head = Buffer.alloc(28)
  head.write('MS', 0, 'latin1')
  head[2] = version
  head[3] = type
  head.writeBigUInt64BE(BigInt(id), 4)
  head.writeUInt32BE(timeoutMs, 12)
  head.writeUInt16BE(status, 16)
  head.writeUInt16BE(table.length, 18)
  head.writeUInt32BE(table.length + content.length, 24)
  return Buffer.concat([head, table, content])
}

export function mainstayRequest(service: string, method: string, parts: MainstayParts = {}): Buffer {
  const attributes = [['svc', service], ['mth', method], ...(parts.attributes ?? [])] as const
  return mainstayFrame({ ...parts, attributes })
}
