/** A small HTTP application that can be broken while it runs, always at the same port. */
import { type Server, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface FaultyApplication {
  readonly address: string
  readonly port: number
  /** Resets every connection and refuses new ones. */
  die(): Promise<void>
  /** Answers so much later, ms; health checks at once, for slow is not dead. */
  slow(ms: number): void
  /** Takes connections and bytes, and answers nothing any more. */
  fallSilent(): void
  /** As at first. Rejects when its port was taken meanwhile. */
  heal(): Promise<void>
  close(): Promise<void>
}

/** Answers every request with JSON, and `/health` with 200. */
export async function startFaultyApplication(service: string, address: string): Promise<FaultyApplication> {
  const sockets = new Set<Socket>()
  const body = JSON.stringify({ service, version: 'victim', address })
  let delayMs = 0
  let isSilent = false
  const create = (): Server => {
    const made = createServer((incoming, outgoing) => {
      incoming.resume()
      if (isSilent) return
      const answer = (): void => {
        outgoing.setHeader('x-demo-version', 'victim')
        outgoing.end(body)
      }
      if (delayMs === 0 || incoming.url === '/health') answer()
      else setTimeout(answer, delayMs).unref()
    })
    made.keepAliveTimeout = 120_000
    made.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    return made
  }
  let server: Server | undefined = create()
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server!.once('error', reject)
      server!.listen(port, address, resolve)
    })
  const end = (): Promise<void> => {
    const ending = server
    server = undefined
    for (const socket of sockets) socket.resetAndDestroy()
    if (ending === undefined) return Promise.resolve()
    return new Promise((resolve) => ending.close(() => resolve()))
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    address,
    port,
    die: end,
    slow: (ms) => void (delayMs = ms),
    fallSilent: () => void (isSilent = true),
    heal: async () => {
      delayMs = 0
      // whoever waits for an answer that was kept back gets a reset, and asks again
      if (isSilent) for (const socket of sockets) socket.resetAndDestroy()
      isSilent = false
      if (server !== undefined) return
      server = create()
      await listen(port)
    },
    close: end,
  }
}
