/** An application that works on so many requests at a time, each for a fixed time; the others wait in its queue. */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BoundedApplication {
  readonly port: number
  close(): void
}

export async function startBoundedApplication(places: number, serviceMs: number): Promise<BoundedApplication> {
  const queue: ServerResponse[] = []
  let taken = 0
  const begin = (response: ServerResponse): void => {
    taken++
    setTimeout(() => {
      taken--
      response.end('ok')
      const next = queue.shift()
      if (next !== undefined) begin(next)
    }, serviceMs)
  }
  const server = createServer((_request, response) => {
    if (taken < places) begin(response)
    else queue.push(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
