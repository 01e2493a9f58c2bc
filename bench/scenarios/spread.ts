/**
 * How evenly two workers under a watchdog share 10, 64 and 1,000 connections, once these have moved to the less busy
 * one (decision 0023): what a second worker brings on a core of its own, for workers share nothing.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { httpAnswers } from '../../cli/traffic/first-answer.ts'
import { cpuNanoseconds } from '../cpu.ts'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { scratchFolder } from '../processes.ts'
import { atLeast, format } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const sizes = [10, 64, 1000]
/** Until connections have moved: pings come each 2.5 s, and a spread must be uneven three times. */
const settleMs = 15_000
const measuredMs = 5000
const service = 'bench'

interface Spread {
  readonly workers: number
  readonly connections: number
  /** CPU of all workers, µs. */
  readonly perRequest: number
  /** CPU of the busiest worker against the mean, once connections have moved. */
  readonly skew: number
}

export const spread: Scenario = {
  name: 'spread',
  title: 'Two workers: how evenly their connections spread',
  run: async (options) => {
    const found: Spread[] = []
    for (const workers of [1, 2]) found.push(...(await measure(workers, options)))
    const two = found.filter(({ workers }) => workers === 2)
    return {
      name: 'spread',
      title: spread.title,
      method: [
        'release build, host under its watchdog, endpoints from a file',
        `connections live as long as the run; processor time of each worker over ${measuredMs / 1000} s, ${settleMs / 1000} s after they were opened`,
        'carries = 2 / skew: against one worker, where each has a core of its own and costs the same per request',
        'µs per request only for the record: host, generator and origin share both CPUs, and workers that sleep more often poll more often',
      ],
      columns: ['workers', 'connections', 'µs/request', 'skew', 'carries'],
      rows: found.map((row) => [
        String(row.workers),
        String(row.connections),
        format(row.perRequest),
        format(row.skew),
        format(row.workers / row.skew),
      ]),
      goals: two.map(({ connections, skew }) =>
        atLeast(`two workers at ${connections} connections`, 2 / skew, 1.9, 'x one'),
      ),
      remarks: [],
      raw: found,
    }
  },
}

async function measure(workers: number, options: BenchOptions): Promise<Spread[]> {
  const both = `${options.proxyCpu},${options.loadCpu}`
  const origin = await startOrigin(both)
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('spread')
  const endpoints = join(folder.path, 'endpoints')
  mkdirSync(endpoints)
  writeFileSync(
    join(endpoints, 'bench.yaml'),
    `service: ${service}\nendpoints:\n  - { address: 127.0.0.1, port: ${origin.port} }\n`,
  )
  const host = new DemoHost({
    name: 'spread',
    role: 'agent',
    address: block.address(2),
    directory: join(folder.path, 'host'),
    registries: [{ name: 'files', type: 'file', directory: endpoints }],
    applications: [],
    outbound: [{ service, protocol: 'http' }],
    centers: [],
    extra: { workers, endpoints: { allowLoopbackEndpoints: true } },
    command: [join(options.releaseFolder, 'cli/main.js')],
  })
  try {
    host.start()
    await host.ready()
    const port = await host.port(service)
    await httpAnswers(block.address(2), port, service)
    const { generations } = await host.watchdogState()
    const pids = generations[0]!.children.filter(({ role }) => role === 'worker').map(({ pid }) => pid)
    const found: Spread[] = []
    for (const connections of sizes) {
      const seconds = (settleMs + measuredMs) / 1000 + 1
      const started = cpuNanoseconds(pids)
      const load = runWrk({ cpus: both, url: `http://${block.address(2)}:${port}/`, connections, seconds })
      await sleep(settleMs)
      const before = pids.map((pid) => cpuNanoseconds([pid]))
      await sleep(measuredMs)
      const used = pids.map((pid, index) => cpuNanoseconds([pid]) - before[index]!)
      const { requests } = await load
      const perRequest = (cpuNanoseconds(pids) - started) / requests / 1000
      const skew = Math.max(...used) / (used.reduce((sum, one) => sum + one, 0) / used.length)
      found.push({ workers, connections, perRequest, skew })
      options.log(`  ${workers} workers, ${connections} connections: ${format(perRequest)} µs, skew ${format(skew)}`)
    }
    return found
  } finally {
    await host.stop()
    await origin.close()
    await block.release()
    folder.close()
  }
}
