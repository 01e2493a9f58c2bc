/**
 * An HTTP application that counts what it is asked: each call has a number of its own, so that one served twice is
 * seen.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface CountingApplication {
  readonly address: string
  readonly port: number
  /** How often each number came, by the field `x-call`. */
  readonly seen: ReadonlyMap<string, number>
  close(): Promise<void>
}

/** Answers `200 NAME`, with what was in the body behind it. `workMs`: how long a call takes. */
export async function startCounting(address: string, name: string, workMs = 0): Promise<CountingApplication> {
  const seen = new Map<string, number>()
  const sockets = new Set<Socket>()
  const server = createServer((incoming, outgoing) => {
    const call = incoming.headers['x-call']
    if (typeof call === 'string') seen.set(call, (seen.get(call) ?? 0) + 1)
    let body = ''
    incoming.setEncoding('utf8').on('data', (text: string) => (body += text))
    incoming.on('end', () => {
      const answer = (): void => void outgoing.end(`${name}${body}`)
      if (workMs > 0) setTimeout(answer, workMs)
      else answer()
    })
  })
  server.keepAliveTimeout = 120_000
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, address)
  await once(server, 'listening')
  return {
    address,
    port: (server.address() as AddressInfo).port,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
