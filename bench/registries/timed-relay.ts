/** Bytes on their way between a client and a registry, with the time of each piece in either direction. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface TimedRelay {
  readonly port: number
  /** From now on pieces are noted anew. */
  begin(): void
  /**
   * How long the client had the word since `begin`, ms: from each piece that came to it until the last question before
   * the next piece, and from the last piece of all until `end` (performance.now()), whatever was asked meanwhile. A
   * sign of life that comes before the registry tells of the change is not the word.
   */
  clientShare(end: number): number
  close(): Promise<void>
}

export async function startTimedRelay(target: number): Promise<TimedRelay> {
  const sockets = new Set<Socket>()
  let share = 0
  /** When the last piece came to the client. */
  let heardAt: number | undefined
  /** From then until its last question. */
  let untilAskedMs = 0
  const server = createServer((client) => {
    const registry = connect(target, '127.0.0.1')
    const join = (from: Socket, to: Socket, note: () => void): void => {
      sockets.add(from.setNoDelay(true))
      from.on('data', (chunk: Buffer) => {
        note()
        to.write(chunk)
      })
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    join(client, registry, () => {
      if (heardAt !== undefined) untilAskedMs = performance.now() - heardAt
    })
    join(registry, client, () => {
      share += untilAskedMs
      untilAskedMs = 0
      heardAt = performance.now()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    begin: () => {
      share = 0
      untilAskedMs = 0
      heardAt = undefined
    },
    clientShare: (end) => share + (heardAt === undefined ? 0 : end - heardAt),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
