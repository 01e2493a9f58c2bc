import { publicTransports } from '../../../agent/worker/transport/public-socket.ts'
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { HalfClosed, LimitsSpec } from '../../../contracts/snapshot.ts'
import { freePort } from '../free-port.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import { startWorker } from '../worker/start-worker.ts'
import { WorkerProcess } from '../worker/worker-process.ts'
import { RecordingBackend } from './recording-backend.ts'

/**
 * `process`: a worker of its own with the fast transports. `public sockets`: one in this process, with the transports
 * that every Node has.
 */
export type MeshKind = 'process' | 'public sockets'
export const meshKinds: readonly MeshKind[] = ['process', 'public sockets']

export interface RecordedMesh {
  readonly port: number
  readonly backend: RecordingBackend
  /** Most requests that the worker sends over one connection to the backend. */
  readonly requestsPerConnection: number
  /** Most requests that a caller's connection carries; what is behind them is not answered. */
  readonly answersPerConnection: number
  /** Sum over all samples; undefined = there is no such metric. */
  metric(name: string): Promise<number | undefined>
  /** Throws, with its last words, if the worker is gone. */
  expectAlive(): void
  close(): Promise<void>
}

/**
 * A worker with one HTTP service whose only endpoint is a recording backend; few requests per upstream connection, no
 * ejection, no retries.
 */
export async function startRecordedMesh(
  kind: MeshKind,
  limits: Partial<LimitsSpec> = {},
  requestsPerConnection = 20,
  halfClosed: HalfClosed = 'gone',
): Promise<RecordedMesh> {
  const backend = await RecordingBackend.start()
  const services = [
    {
      name: 'recorded',
      endpoints: [{ address: '127.0.0.1', port: backend.port }],
      policy: { pool: { ...defaultTrafficPolicy.pool, maxRequestsPerConnection: requestsPerConnection } },
    },
  ]
  try {
    if (kind === 'public sockets') {
      const worker = await startWorker({ services, limits, halfClosed }, { transports: async () => publicTransports() })
      return {
        backend,
        requestsPerConnection,
        answersPerConnection: Infinity,
        port: worker.port('recorded'),
        metric: async (name) =>
          worker.worker.stats().series.some((series) => series.name === name) ? worker.metric(name) : undefined,
        expectAlive: () => {},
        close: async () => {
          worker.stop()
          await backend.close()
        },
      }
    }
    const port = await freePort()
    const listen = { recorded: { address: '127.0.0.1', port } }
    const worker = await WorkerProcess.start(snapshotOf({ services, listen, limits, halfClosed }))
    return {
      backend,
      requestsPerConnection,
      answersPerConnection: Infinity,
      port,
      metric: (name) => worker.metric(name),
      expectAlive: () => {
        if (!worker.isRunning) throw new Error(`the worker ended\n${worker.log()}`)
      },
      close: async () => {
        await worker.stop()
        await backend.close()
      },
    }
  } catch (error) {
    await backend.close()
    throw error
  }
}
