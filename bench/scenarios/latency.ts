/** Latency that a proxy adds at a fixed rate far below saturation, measured open loop. */
import { startPeers } from '../contenders.ts'
import { runOpenLoop } from '../load/open-loop.ts'
import type { OpenLoopResult } from '../load/open-loop.ts'
import { startOrigin } from '../origin.ts'
import { againstEarlier } from '../peers/earlier.ts'
import { envoy } from '../peers/envoy.ts'
import { haproxy } from '../peers/haproxy.ts'
import { hostmesh, hostmeshRaw } from '../peers/hostmesh.ts'
import { nginx } from '../peers/nginx.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const rate = 1000
const connections = 64

export const latency: Scenario = {
  name: 'latency',
  title: 'Latency at 1,000 requests/s, open loop',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers(
      [hostmesh, hostmeshRaw, haproxy, nginx, envoy],
      oneWorker(options, origin.port, 'http'),
      options,
    )
    try {
      const targets = [
        { name: 'no proxy', port: origin.port },
        ...started.peers.map(({ name, peer }) => ({ name, port: peer.port })),
      ]
      const results = new Map<string, OpenLoopResult[]>(targets.map(({ name }) => [name, []]))
      for (let round = 0; round <= options.windows; round++) {
        for (const { name, port } of targets) {
          const seconds = round === 0 ? options.warmSeconds : options.windowSeconds
          const result = await runOpenLoop(options.loadCpu, port, rate, seconds, connections)
          options.log(
            `  ${round}/${options.windows} ${name}: p50 ${format(result.p50Ms * 1000)} µs, p99 ${format(result.p99Ms * 1000)} µs, ${result.failed} failed`,
          )
          if (round > 0) results.get(name)!.push(result)
        }
      }
      const of = (name: string, read: (result: OpenLoopResult) => number): number =>
        median((results.get(name) ?? []).map(read)) * 1000
      const p50 = (name: string): number => of(name, (result) => result.p50Ms)
      const p99 = (name: string): number => of(name, (result) => result.p99Ms)
      const failed = (name: string): number => (results.get(name) ?? []).reduce((sum, result) => sum + result.failed, 0)
      return {
        name: 'latency',
        title: latency.title,
        method: [
          `proxy alone on cpu ${options.proxyCpu}; generator and origin on cpu ${options.loadCpu}; ${connections} connections, ${rate} requests/s whatever the answers do`,
          `medians of ${options.windows} interleaved windows of ${options.windowSeconds} s; added = minus the row without a proxy`,
        ],
        columns: ['proxy', 'p50 µs', 'p99 µs', 'added p50', 'added p99', 'failed', 'generator late p99 µs'],
        rows: targets.map(({ name }) => [
          name,
          format(p50(name)),
          format(p99(name)),
          format(p50(name) - p50('no proxy')),
          format(p99(name) - p99('no proxy')),
          String(failed(name)),
          format(of(name, (result) => result.latenessP99Ms)),
        ]),
        goals: [
          atMost('added p50 against HAProxy', p50('Hostmesh') - p50('HAProxy'), 40, 'µs more than HAProxy'),
          atMost('p99 against Envoy', p99('Hostmesh') / p99('Envoy'), 1.2, 'x Envoy'),
          ...againstEarlier('p50', p50),
          ...againstEarlier('p99', p99),
        ],
        remarks: started.remarks,
        raw: Object.fromEntries(results),
      }
    } finally {
      await started.close()
      await origin.close()
    }
  },
}
