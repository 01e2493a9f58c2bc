/**
 * A gate in front of a TCP port: it can be shut (refuses, and cuts what is open), and stalled (connects, then nothing
 * moves).
 */
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { freePort } from '../free-port.ts'

export interface Gate {
  readonly port: number
  /** Refuses new connections and cuts the open ones. */
  shut(): Promise<void>
  open(): Promise<void>
  /** Takes connections and keeps the open ones, but passes nothing on. */
  stall(): void
  flow(): void
  /** Connections that pass at the moment. */
  readonly connections: number
  /** How many came in so far. */
  readonly accepted: number
  /** Cuts the open connections; new ones may come. */
  cut(): void
  close(): Promise<void>
}

export async function startGate(targetPort: number): Promise<Gate> {
  const sockets = new Set<Socket>()
  let isStalled = false
  let accepted = 0
  const onConnection = (downstream: Socket): void => {
    accepted++
    const upstream = connect(targetPort, '127.0.0.1')
    const pair = [downstream, upstream]
    for (const socket of pair) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        for (const other of pair) other.destroy()
      })
      if (isStalled) socket.pause()
    }
    downstream.on('data', (chunk: Buffer) => upstream.write(chunk))
    upstream.on('data', (chunk: Buffer) => downstream.write(chunk))
    if (isStalled) for (const socket of pair) socket.pause()
  }
  let server: Server | undefined
  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const next = createServer(onConnection)
      next.once('error', reject)
      next.listen(port, '127.0.0.1', () => {
        server = next
        resolve((next.address() as { port: number }).port)
      })
    })
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const shut = async (): Promise<void> => {
    const present = server
    server = undefined
    if (present === undefined) return
    const closed = new Promise<void>((resolve) => present.close(() => resolve()))
    cut()
    await closed
  }
  const port = await listen(await freePort())
  return {
    port,
    shut,
    open: async () => {
      if (server === undefined) await listen(port)
    },
    stall: () => {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    flow: () => {
      isStalled = false
      for (const socket of sockets) socket.resume()
    },
    get connections() {
      return sockets.size / 2
    },
    get accepted() {
      return accepted
    },
    cut,
    close: shut,
  }
}
