/** The frames of the benchmark in private RPC: requests of 256 bytes for the service `bench`. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { rpcProtocolSchema } from '../../agent/control/config/rpc-schema.ts'
import type { RpcDescription } from '../../contracts/rpc-description.ts'
import { BoltCodec } from '../../rpc/bolt/bolt.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { DeclaredCodec } from '../../rpc/declared/declared.ts'

export const requestBytes = 256

export interface RpcFrames {
  readonly request: Buffer
  readonly reply: Buffer
  readonly idAt: number
  readonly idBytes: number
}

/** As `examples/rpc/mainstay.yaml` describes it. */
export function mainstayOfExample(): RpcDescription {
  const { rpcProtocols } = parse(readFileSync('examples/rpc/mainstay.yaml', 'utf8')) as { rpcProtocols: unknown[] }
  const { name: _name, ...description } = rpcProtocolSchema.parse(rpcProtocols[0])
  return description
}

export function codecOf(protocol: string): RpcCodec {
  return protocol === 'bolt' ? new BoltCodec() : new DeclaredCodec(protocol, mainstayOfExample())
}

export function framesOf(protocol: string): RpcFrames {
  return protocol === 'bolt' ? boltFrames() : mainstayFrames()
}

function pairs(widths: readonly [number, number], some: readonly (readonly [string, string])[]): Buffer {
  const parts = some.flatMap((pair) =>
    pair.flatMap((text, at) => {
      const length = Buffer.alloc(widths[at]!)
      length.writeUIntBE(text.length, 0, widths[at]!)
      return [length, Buffer.from(text)]
    }),
  )
  return Buffer.concat(parts)
}

function padded(head: Buffer, table: Buffer): Buffer {
  return Buffer.concat([head, table, Buffer.alloc(requestBytes - head.length - table.length, 0x61)])
}

function boltFrames(): RpcFrames {
  const table = pairs(
    [4, 4],
    [
      ['sofa_head_target_service', 'bench'],
      ['sofa_head_method_name', 'place'],
      ['rpc_trace_context.sofaRpcId', '0'],
    ],
  )
  const head = Buffer.alloc(22)
  head.set([1, 1, 0, 1, 1])
  head[9] = 1
  head.writeInt32BE(3000, 10)
  head.writeInt16BE(table.length, 16)
  head.writeInt32BE(requestBytes - 22 - table.length, 18)
  const reply = Buffer.alloc(64, 0x61)
  reply.fill(0, 0, 20)
  reply.set([1, 0, 0, 2, 1])
  reply.writeInt32BE(44, 16)
  return { request: padded(head, table), reply, idAt: 5, idBytes: 4 }
}

function mainstayFrames(): RpcFrames {
  const table = pairs(
    [1, 2],
    [
      ['svc', 'bench'],
      ['mth', 'place'],
      ['rpc_trace_context.sofaRpcId', '0'],
    ],
  )
  const head = Buffer.alloc(28)
  head.set([0x4d, 0x53, 1, 1])
  head.writeUInt16BE(table.length, 18)
  head.writeUInt32BE(requestBytes - 28, 24)
  const reply = Buffer.alloc(64, 0x61)
  reply.fill(0, 0, 28)
  reply.set([0x4d, 0x53, 1, 3])
  reply.writeUInt32BE(36, 24)
  return { request: padded(head, table), reply, idAt: 4, idBytes: 8 }
}
