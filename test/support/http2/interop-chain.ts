import type { DrainCount } from '../../../contracts/handoff.ts'
import { WatchdogHost } from '../continuity/watchdog-host.ts'
import { freePort } from '../free-port.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import type { ServicePlan } from '../worker/snapshots.ts'
import { startWorker } from '../worker/start-worker.ts'
import type { StartedWorker } from '../worker/start-worker.ts'

function serviceAt(name: string, port: number, isAgent: boolean): ServicePlan {
  const metadata: Record<string, string> = isAgent ? { 'hostmesh.inbound': 'true' } : {}
  return { name, protocol: 'grpc', endpoints: [{ address: '127.0.0.1', port, metadata }] }
}

/** So many workers in a row before an application, in this process; the first is the caller's. */
export async function workersBefore(port: number, agents: number): Promise<StartedWorker[]> {
  const workers: StartedWorker[] = []
  for (let n = 0; n < agents; n++) {
    const next = workers[0]?.port('calls') ?? port
    workers.unshift(await startWorker({ services: [serviceAt('calls', next, n > 0)] }))
  }
  return workers
}

/** So many hosts in a row before applications, each on a port of its own at every host. */
export class HostChain {
  /** The caller's first. */
  readonly hosts: WatchdogHost[] = []
  /** The caller's port for each application, in their order. */
  ports: readonly number[] = []

  static async start(applications: readonly number[], agents: number): Promise<HostChain> {
    const chain = new HostChain()
    let next = applications
    try {
      for (let n = 0; n < agents; n++) {
        const before = next
        next = await Promise.all(before.map(() => freePort()))
        chain.hosts.unshift(await startHost(before, next, n > 0))
      }
    } catch (error) {
      await chain.end()
      throw error
    }
    chain.ports = next
    return chain
  }

  /** Restarts one host after the other. Answers what became of connections in HTTP/2, summed up. */
  async restart(): Promise<{ readonly moved: number; readonly lost: number }> {
    let moved = 0
    let lost = 0
    for (const host of this.hosts) {
      const report = await host.reload()
      if (report.outcome !== 'done') throw new Error(report.cause)
      for (const count of report.counts.filter(({ protocol }: DrainCount) => protocol === 'http2')) {
        moved += count.moved
        lost += count.cut + count.drained
      }
    }
    return { moved, lost }
  }

  /** Answers the pids that would not go. */
  async end(): Promise<number[]> {
    return (await Promise.all(this.hosts.splice(0).map((host) => host.end()))).flat()
  }
}

function startHost(from: readonly number[], at: readonly number[], isAgent: boolean): Promise<WatchdogHost> {
  return WatchdogHost.start({
    workers: 1,
    snapshot: () =>
      snapshotOf({
        services: from.map((port, index) => serviceAt(`calls-${index}`, port, isAgent)),
        listen: Object.fromEntries(at.map((port, index) => [`calls-${index}`, { address: '127.0.0.1', port }])),
      }),
  })
}
