/** A ZooKeeper server that means harm: it greets as one does, if it likes, and answers what it likes. */
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { RecordReader, RecordWriter } from '../../../registry-adapters/zookeeper/records.ts'
import { Op } from '../../../registry-adapters/zookeeper/words.ts'

export interface Asked {
  readonly xid: number
  readonly type: number
  readonly path: string
}

export interface HostileZooKeeper {
  readonly port: number
  /** Newest transaction that each client said to have seen, in order. */
  readonly seen: bigint[]
  stop(): Promise<void>
}

export interface HostileBehaviour {
  /** Default: a session of what was asked for. */
  greet?(socket: Socket, timeoutMs: number): void
  /** Default: no word. Pings are answered unless `isDeaf`. */
  answer?(socket: Socket, asked: Asked): void
  readonly isDeaf?: boolean
}

export async function startHostileZooKeeper(behaviour: HostileBehaviour): Promise<HostileZooKeeper> {
  const sockets = new Set<Socket>()
  const seen: bigint[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    let held = Buffer.alloc(0)
    let isGreeted = false
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
        const reader = new RecordReader(held.subarray(4, 4 + held.readInt32BE(0)))
        held = held.subarray(4 + held.readInt32BE(0))
        const first = reader.int()
        if (!isGreeted) {
          isGreeted = true
          seen.push(reader.long())
          const timeoutMs = reader.int()
          if (behaviour.greet === undefined) greet(socket, timeoutMs)
          else behaviour.greet(socket, timeoutMs)
          continue
        }
        const type = reader.int()
        if (type === Op.ping) {
          if (behaviour.isDeaf !== true) reply(socket, first, 0)
        } else if (type !== Op.closeSession)
          behaviour.answer?.(socket, { xid: first, type, path: type === Op.multi ? '' : reader.text() })
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

export function greet(socket: Socket, timeoutMs: number, id = 7n, password = Buffer.alloc(16)): void {
  socket.write(new RecordWriter().int(0).int(timeoutMs).long(id).bytes(password).frame())
}

export function reply(
  socket: Socket,
  xid: number,
  code: number,
  body?: (writer: RecordWriter) => unknown,
  zxid = 1n,
): void {
  const writer = new RecordWriter().int(xid).long(zxid).int(code)
  body?.(writer)
  socket.write(writer.frame())
}
