/** What a caller that never stops does to another one on the same worker: refused at full speed, and served. */
import type { HttpRouteSpec } from '../../contracts/route-spec.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { runOpenLoop } from '../load/open-loop.ts'
import type { OpenLoopResult } from '../load/open-loop.ts'
import { runWrk } from '../load/wrk.ts'
import { benchService } from '../mesh-snapshot.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const rate = 500
const connections = 16
const noisyConnections = 2000
/** The noisy caller is another user of the host. */
const noisyUser = 65_534
/** Its destination has no endpoint: 503 at once. */
const refusedPath = '/refused'

function withRefusals(snapshot: Snapshot): Snapshot {
  const host = snapshot.virtualHosts[benchService]!
  const destinations = [{ service: benchService, subset: 'none', weight: 1 }]
  const refused: HttpRouteSpec = {
    ...host.http[0]!,
    name: 'refused',
    matches: [{ uri: { exact: refusedPath } }],
    action: { kind: 'forward', destinations },
  }
  return { ...snapshot, virtualHosts: { [benchService]: { ...host, http: [refused, ...host.http] } } }
}

export const neighbours: Scenario = {
  name: 'neighbours',
  title: 'One caller beside another that never stops',
  run: async (options) => {
    const columns = ['beside the caller', 'p50 µs', 'p99 µs', 'p99 to alone', 'failed', 'noisy requests/s']
    if (process.getuid?.() !== 0) {
      const remarks = ['not run: a second user of the host takes root']
      return { name: 'neighbours', title: neighbours.title, method: [], columns, rows: [], goals: [], remarks, raw: [] }
    }
    const origin = await startOrigin(options.loadCpu)
    const mesh = await startMesh({ ...oneWorker(options, origin.port, 'http'), amend: withRefusals })
    const cases = [
      { name: 'nobody', path: '' },
      { name: '2,000 connections, refused', path: refusedPath },
      { name: '2,000 connections, served', path: '/' },
    ]
    const results = new Map<string, OpenLoopResult[]>(cases.map(({ name }) => [name, []]))
    const noisyRates = new Map<string, number[]>(cases.map(({ name }) => [name, []]))
    try {
      for (let round = 0; round <= options.windows; round++) {
        for (const { name, path } of cases) {
          const url = `http://127.0.0.1:${mesh.port}${path}`
          const noisy =
            path === ''
              ? undefined
              : runWrk({
                  cpus: options.loadCpu,
                  url,
                  connections: noisyConnections,
                  seconds: options.windowSeconds + 2,
                  user: noisyUser,
                })
          if (noisy !== undefined) await new Promise((resolve) => setTimeout(resolve, 1500))
          const result = await runOpenLoop(options.loadCpu, mesh.port, rate, options.windowSeconds, connections)
          const noisyRate = (await noisy)?.requestsPerSecond ?? 0
          options.log(
            `  ${round}/${options.windows} ${name}: p99 ${format(result.p99Ms * 1000)} µs, noisy ${format(noisyRate)}/s`,
          )
          if (round === 0) continue
          results.get(name)!.push(result)
          noisyRates.get(name)!.push(noisyRate)
        }
      }
      const of = (name: string, read: (result: OpenLoopResult) => number): number =>
        median(results.get(name)!.map(read))
      const alone = of('nobody', (result) => result.p99Ms)
      const times = (name: string): number => of(name, (result) => result.p99Ms) / alone
      return {
        name: 'neighbours',
        title: neighbours.title,
        method: [
          `one worker on cpu ${options.proxyCpu}; both callers and the application on cpu ${options.loadCpu}`,
          `the caller: ${connections} connections, ${rate} requests/s open loop; the other is another user, closed loop`,
          `medians of ${options.windows} interleaved windows of ${options.windowSeconds} s`,
        ],
        columns,
        rows: cases.map(({ name }) => [
          name,
          format(of(name, (result) => result.p50Ms) * 1000),
          format(of(name, (result) => result.p99Ms) * 1000),
          format(times(name)),
          String(results.get(name)!.reduce((sum, { failed }) => sum + failed, 0)),
          format(median(noisyRates.get(name)!)),
        ]),
        goals: cases.slice(1).map(({ name }) => atMost(`p99 beside ${name}`, times(name), 2, 'x alone')),
        remarks: [],
        raw: Object.fromEntries(results),
      }
    } finally {
      await mesh.close()
      await origin.close()
    }
  },
}
