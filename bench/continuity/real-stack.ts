/**
 * One hot restart of a host as users run it: release build, `hostmesh watchdog` with the configuration of an agent, its
 * own control with a file registry, two workers. The command is what `hostmesh reload --wait gone` sends.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RestartReport } from '../../contracts/handoff.ts'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { askWatchdog } from '../../cli/watchdog-client.ts'
import { keepAliveLoad } from '../../test/support/continuity/callers.ts'
import type { FarSide } from '../../test/support/continuity/far-side.ts'
import { scratchFolder } from '../processes.ts'

export interface StackRestart {
  /** From the command until nothing of the old generation is left. */
  readonly ms: number
  /** Of the watchdog's own report, ms since it began. */
  readonly readyMs: number
  readonly servingMs: number
  readonly goneMs: number
}

export interface StackNumbers {
  readonly restarts: readonly StackRestart[]
  readonly requests: number
  readonly failures: readonly string[]
  readonly connectionsClosed: number
  readonly cut: number
}

/**
 * 64 keep-alive callers with an answer of 400 ms each, and a restart every second. `releaseFolder`: of `buildRelease`.
 */
export async function restartsOfRealStack(
  provider: FarSide,
  releaseFolder: string,
  rounds: number,
): Promise<StackNumbers> {
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('real-stack')
  const endpoints = join(folder.path, 'endpoints')
  mkdirSync(endpoints)
  const orders = { service: 'orders', endpoints: [{ address: '127.0.0.1', port: provider.port }] }
  writeFileSync(join(endpoints, 'orders.json'), JSON.stringify(orders))
  const host = new DemoHost({
    name: 'bench',
    role: 'agent',
    address: block.address(1),
    directory: join(folder.path, 'host'),
    registries: [{ name: 'files', type: 'file', directory: endpoints }],
    applications: [],
    outbound: [{ service: 'orders', protocol: 'http' }],
    centers: [],
    extra: { workers: 2 },
    command: [join(releaseFolder, 'cli/main.js')],
  })
  try {
    host.start()
    await host.ready()
    const port = await host.port('orders')
    const load = await keepAliveLoad(port, 64, '/slow/400', { reconnects: true, host: host.options.address })
    const reports: RestartReport[] = []
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      // Compiled code is written 2 s after a start, as it is between any two commands of a person.
      await sleep(3000)
      const began = performance.now()
      const reply = await askWatchdog(host.runDir, { type: 'reload', wait: 'gone' }, 60_000)
      times.push(performance.now() - began)
      if (reply.type !== 'outcome' || reply.report.outcome !== 'done') throw new Error(JSON.stringify(reply))
      reports.push(reply.report)
    }
    const result = await load.stop()
    return {
      restarts: reports.map(({ goneMs = -1, readyMs = -1, servingMs = -1 }, round) => ({
        ms: times[round]!,
        readyMs,
        servingMs,
        goneMs,
      })),
      requests: result.answered,
      failures: result.failures,
      connectionsClosed: result.closed,
      cut: reports.flatMap(({ counts }) => counts).reduce((sum, count) => sum + count.cut, 0),
    }
  } finally {
    await host.stop()
    await block.release()
    folder.close()
  }
}
