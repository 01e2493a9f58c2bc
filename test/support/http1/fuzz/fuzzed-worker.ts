import { defaultTrafficPolicy } from '../../../../contracts/policy-spec.ts'
import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import { snapshotOf } from '../../worker/snapshots.ts'
import { freePort, WorkerProcess } from '../../worker/worker-process.ts'
import { RecordingBackend } from '../recording-backend.ts'

export interface FuzzedWorker {
  readonly worker: WorkerProcess
  readonly backend: RecordingBackend
  readonly port: number
  close(): Promise<void>
}

/** A worker with one HTTP service whose only endpoint is a recording backend; few requests per upstream connection, no ejection, no retries. */
export async function startFuzzedWorker(limits: Partial<LimitsSpec> = {}): Promise<FuzzedWorker> {
  const backend = await RecordingBackend.start()
  try {
    const port = await freePort()
    const worker = await WorkerProcess.start(
      snapshotOf({
        services: [
          {
            name: 'recorded',
            endpoints: [{ address: '127.0.0.1', port: backend.port }],
            policy: { pool: { ...defaultTrafficPolicy.pool, maxRequestsPerConnection: 20 } },
          },
        ],
        listen: { recorded: { address: '127.0.0.1', port } },
        limits,
      }),
    )
    return {
      worker,
      backend,
      port,
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
