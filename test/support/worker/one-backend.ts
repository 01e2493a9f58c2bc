/** An HTTP server of Node's, and a worker before it as the service `orders`. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { endpointOf } from './snapshots.ts'
import { startWorker } from './start-worker.ts'
import type { StartedWorker } from './start-worker.ts'

export async function startBehindWorker(
  answer: RequestListener,
  limits: Partial<LimitsSpec> = {},
): Promise<{ backend: Server; worker: StartedWorker; stop(): void }> {
  const backend = createServer(answer)
  backend.listen(0, '127.0.0.1')
  await once(backend, 'listening')
  const { port } = backend.address() as AddressInfo
  const services = [{ name: 'orders', endpoints: [endpointOf('127.0.0.1', port)] }]
  const worker = await startWorker({ services, limits })
  return {
    backend,
    worker,
    stop: () => {
      worker.stop()
      backend.close()
    },
  }
}
