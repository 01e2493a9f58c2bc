/**
 * The data plane in the test's own process: a snapshot in, ports out, state at hand. For a worker as a process of its
 * own see `worker-process.ts`.
 */
import type { SnapshotDelta } from '../../../contracts/snapshot.ts'
import { Worker } from '../../../agent/worker/worker.ts'
import type { WorkerOptions } from '../../../agent/worker/worker-options.ts'
import { wantedTransports } from '../../../agent/worker/transport/select-transports.ts'
import { snapshotOf } from './snapshots.ts'
import type { SnapshotPlan } from './snapshots.ts'

export interface StartedWorker {
  readonly worker: Worker
  /** Names that the worker asked control for. */
  readonly asked: string[]
  /** Applications of this host that refused a connection, as told to control. */
  readonly refused: string[]
  readonly logged: string[]
  /** Port of a service's listener, or of `shared`. */
  port(name: string): number
  change(delta: Omit<SnapshotDelta, 'baseVersion' | 'version'>): Promise<void>
  /** Sum of a metric over the samples that have all of these label values. */
  metric(name: string, ...labels: string[]): number
  stop(): void
}

/** Services named in `plan.listen` get any free port, whatever the plan says; so does the shared port. */
export async function startWorker(
  plan: Omit<SnapshotPlan, 'listen'> & Partial<Pick<SnapshotPlan, 'listen'>>,
  options: Partial<WorkerOptions> = {},
): Promise<StartedWorker> {
  const asked: string[] = []
  const refused: string[] = []
  const logged: string[] = []
  const worker = await Worker.create({
    workers: 1,
    sharesPorts: false,
    isOurs: () => false,
    ask: (names) => asked.push(...names),
    tellRefused: (application) => refused.push(application),
    tellTroubles: () => undefined,
    onBound: () => {},
    onRemoved: () => {},
    closeDescriptor: () => {},
    setLogLevel: () => {},
    log: (level, message) => logged.push(`${level} ${message}`),
    random: Math.random,
    wantedTransport: wantedTransports.find((one) => one === process.env['HOSTMESH_TEST_TRANSPORT']) ?? 'auto',
    trial: async () => '',
    ...options,
  })
  const anyPort = { address: '127.0.0.1', port: 0 }
  const listen = plan.listen ?? Object.fromEntries(plan.services.map((service) => [service.name, anyPort]))
  worker.load(snapshotOf({ shared: anyPort, ...plan, listen }))
  await worker.listen()
  return {
    worker,
    asked,
    refused,
    logged,
    port(name) {
      const bound = worker.listeners.get(name) ?? worker.listeners.get(`service:${name}`)
      if (bound === undefined) throw new Error(`no listener for ${name}: ${JSON.stringify(worker.listeners.dump())}`)
      return bound.socket.port
    },
    async change(delta) {
      const { version } = worker.state
      worker.apply({ baseVersion: version, version: version + 1, ...delta })
      await worker.listeners.settled()
    },
    metric(name, ...labels) {
      const samples = worker.stats().series.find((series) => series.name === name)?.samples ?? []
      return samples
        .filter((sample) => labels.every((label) => sample.labels.includes(label)))
        .reduce((sum, sample) => sum + sample.value, 0)
    },
    stop: () => worker.close(),
  }
}
