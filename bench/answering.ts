/** A small HTTP application that answers with its name; for checks of who served, not for load. */
import { once } from 'node:events'
import { createServer } from 'node:http'

export interface Answering {
  readonly port: number
  close(): void
}

export async function startAnswering(body: string): Promise<Answering> {
  const server = createServer((_request, response) => {
    response.setHeader('content-length', body.length)
    response.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
