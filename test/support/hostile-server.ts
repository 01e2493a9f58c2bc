/** An HTTP server that means harm: it answers what it likes, byte by byte if it likes. */
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Takes one request (its first line) on a socket, and does what it wants. */
export type Behaviour = (socket: Socket, line: string) => void

export interface HostileServer {
  readonly port: number
  stop(): Promise<void>
}

export async function startHostileServer(behaviour: Behaviour): Promise<HostileServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    let held = ''
    socket.on('data', (chunk: Buffer) => {
      held += chunk.toString('latin1')
      const end = held.indexOf('\r\n\r\n')
      if (end < 0) return
      const [line = ''] = held.split('\r\n')
      const length = Number(/content-length: (\d+)/i.exec(held)?.[1] ?? 0)
      if (held.length < end + 4 + length) return
      held = held.slice(end + 4 + length)
      behaviour(socket, line)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

export function answer(body: string, status = '200 OK', headers = ''): Behaviour {
  return (socket) =>
    void socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
}

/** Writes `piece` again and again, as fast as it is read, until the socket is gone. */
export function flood(head: string, piece: Buffer): Behaviour {
  return (socket) => {
    socket.write(head)
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
      if (!socket.destroyed) socket.once('drain', more)
    }
    more()
  }
}

/** One byte now and then, for ever. */
export function drip(head: string, everyMs: number): Behaviour {
  return (socket) => {
    socket.write(head)
    const timer = setInterval(() => socket.write('1\r\n \r\n'), everyMs)
    timer.unref()
    socket.once('close', () => clearInterval(timer))
  }
}

export const chunkedHead = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'

/** Changes to a protocol that nobody asked for. */
export const changeProtocol: Behaviour = (socket) =>
  void socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n')
