/** Small applications that know nothing of the mesh: they listen on their own port and answer who they are. */
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { AppProtocol } from '../../contracts/protocols.ts'

export interface DemoApplication {
  readonly service: string
  readonly version: string
  readonly protocol: AppProtocol
  readonly address: string
  readonly port: number
  close(): Promise<void>
}

/** Answers every request with JSON: service, version, address. `/health` answers 200. */
export async function startHttpApplication(
  service: string,
  version: string,
  address: string,
): Promise<DemoApplication> {
  const body = JSON.stringify({ service, version, address })
  const server = createHttpServer((incoming, outgoing) => {
    incoming.resume()
    incoming.on('end', () => {
      outgoing.setHeader('content-type', 'application/json')
      outgoing.setHeader('x-demo-version', version)
      outgoing.end(body)
    })
  })
  server.keepAliveTimeout = 120_000
  return listen(server, { service, version, protocol: 'http', address })
}

/** Sends back every line that it gets, with its version in front. */
export async function startLineApplication(
  service: string,
  version: string,
  address: string,
): Promise<DemoApplication> {
  const server = createTcpServer((socket) => {
    socket.setEncoding('latin1')
    let rest = ''
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) socket.write(`${version} ${line}\n`)
      if (rest.length > 1000) socket.destroy()
    })
    socket.on('error', () => socket.destroy())
  })
  return listen(server, { service, version, protocol: 'tcp', address })
}

async function listen(
  server: Server,
  about: Pick<DemoApplication, 'service' | 'version' | 'protocol' | 'address'>,
): Promise<DemoApplication> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, about.address, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    ...about,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
