/**
 * What a second worker brings: requests per second of the busiest worker's CPU, two against one; nginx by the same
 * measure.
 */
import { cpuNanoseconds } from '../cpu.ts'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { hostmesh } from '../peers/hostmesh.ts'
import { nginx } from '../peers/nginx.ts'
import type { Peer } from '../peers/peer.ts'
import { atLeast, format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

interface Capacity {
  /** Requests per second of CPU of the busiest worker: what it could carry alone on its core. */
  readonly capacity: number
  readonly requestsPerSecond: number
  /** CPU of the busiest worker against the mean. */
  readonly skew: number
}

export const workers: Scenario = {
  name: 'workers',
  title: 'Two workers against one: capacity',
  isInTurn: true,
  run: async (options) => {
    const origin = await startOrigin(`${options.proxyCpu},${options.loadCpu}`)
    const rows: string[][] = []
    const raw: Record<string, Capacity[]> = {}
    const remarks: string[] = []
    const gain = new Map<string, number>()
    try {
      for (const peer of [hostmesh, nginx]) {
        if (peer.version() === undefined) {
          remarks.push(`${peer.name}: not on this machine; ${peer.missing}`)
          continue
        }
        const capacities: number[] = []
        for (const count of [1, 2]) {
          const measured = await measure(peer, count, origin.port, options)
          raw[`${peer.name} ${count}`] = measured
          const capacity = median(measured.map((one) => one.capacity))
          capacities.push(capacity)
          rows.push([
            peer.name,
            String(count),
            format(capacity),
            format(capacity / capacities[0]!),
            format(median(measured.map((one) => one.skew))),
            format(median(measured.map((one) => one.requestsPerSecond))),
          ])
        }
        gain.set(peer.name, capacities[1]! / capacities[0]!)
      }
    } finally {
      await origin.close()
    }
    return {
      name: 'workers',
      title: workers.title,
      method: [
        'workers, generator (256 connections) and origin share both CPUs, so the rate itself cannot double on two cores',
        "capacity = requests / CPU seconds of the busiest worker: counts both the cost per request and the skew between workers; nginx's two workers are measured alike",
        `medians of ${options.windows} windows of ${options.windowSeconds} s, connections made anew for each window`,
      ],
      columns: ['proxy', 'workers', 'capacity/s', 'to one', 'skew', 'rate/s'],
      rows,
      goals: [
        atLeast('two workers', gain.get('Hostmesh') ?? NaN, 1.7, `x one (nginx ${format(gain.get('nginx') ?? NaN)})`),
      ],
      remarks,
      raw,
    }
  },
}

async function measure(peer: Peer, count: number, originPort: number, options: BenchOptions): Promise<Capacity[]> {
  const both = `${options.proxyCpu},${options.loadCpu}`
  const running = await peer.start({
    cpus: both,
    originPort,
    mode: 'http',
    workers: count,
    workerMain: options.workerMain,
  })
  const url = `http://127.0.0.1:${running.port}/`
  const measured: Capacity[] = []
  try {
    await runWrk({ cpus: both, url, connections: 256, seconds: options.warmSeconds })
    for (let window = 1; window <= options.windows; window++) {
      const before = running.pids.map((pid) => cpuNanoseconds([pid]))
      const result = await runWrk({ cpus: both, url, connections: 256, seconds: options.windowSeconds })
      const used = running.pids.map((pid, index) => cpuNanoseconds([pid]) - before[index]!)
      const busiest = Math.max(...used)
      const mean = used.reduce((sum, one) => sum + one, 0) / used.length
      const capacity = result.requests / (busiest / 1e9)
      measured.push({ capacity, requestsPerSecond: result.requestsPerSecond, skew: busiest / mean })
      options.log(`  ${peer.name} with ${count}, ${window}/${options.windows}: ${format(capacity)}/s per busiest core`)
    }
  } finally {
    await running.close()
  }
  return measured
}
