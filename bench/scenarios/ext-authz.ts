/** What a question to an external authorizer adds to a request, against a question of its own. */
import type { AuthorizationSpec } from '../../contracts/authorization-spec.ts'
import type { ExternalAuthorizerSpec } from '../../contracts/external-authorizer-spec.ts'
import type { FilterSpec } from '../../contracts/route-spec.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { runOpenLoop } from '../load/open-loop.ts'
import type { OpenLoopResult } from '../load/open-loop.ts'
import { benchService } from '../mesh-snapshot.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { RunningMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const rates = [1000, 10_000] as const
const connections = 64
const provider = 'bench-authz'

export const extAuthz: Scenario = {
  name: 'ext-authz',
  title: 'An external authorizer (HTTP) that allows: what it adds, at 1,000 and 10,000 requests/s',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const common = oneWorker(options, origin.port, 'http')
    const started: RunningMesh[] = []
    try {
      started.push(await startMesh(common), await startMesh({ ...common, filters: [asks], amend: withPolicy }))
      const targets = [
        { name: 'authorizer itself', port: origin.port, cpu: options.loadCpu },
        { name: `the same from cpu ${options.proxyCpu}`, port: origin.port, cpu: options.proxyCpu },
        { name: 'not asked', port: started[0]!.port, cpu: options.loadCpu },
        { name: 'asked', port: started[1]!.port, cpu: options.loadCpu },
      ]
      const results = new Map<string, OpenLoopResult[]>()
      for (let round = 0; round <= options.windows; round++) {
        for (const rate of rates) {
          for (const { cpu, name, port } of targets) {
            const seconds = round === 0 ? options.warmSeconds : options.windowSeconds
            const result = await runOpenLoop(cpu, port, rate, seconds, connections)
            options.log(`  ${round}/${options.windows} ${rate}/s ${name}: p50 ${format(result.p50Ms * 1000)} µs`)
            if (round === 0) continue
            const key = `${rate} ${name}`
            results.set(key, [...(results.get(key) ?? []), result])
          }
        }
      }
      const of = (rate: number, name: string, read: (result: OpenLoopResult) => number): number =>
        median(results.get(`${rate} ${name}`)!.map(read))
      const p50 = (rate: number, name: string): number => of(rate, name, (result) => result.p50Ms * 1000)
      const added = (rate: number): number => p50(rate, 'asked') - p50(rate, 'not asked')
      return {
        name: 'ext-authz',
        title: extAuthz.title,
        method: [
          `worker alone on cpu ${options.proxyCpu}; generator, application and authorizer (one nginx that says 200) on cpu ${options.loadCpu}; open loop, ${connections} connections`,
          `medians of ${options.windows} interleaved windows of ${options.windowSeconds} s; added = asked minus not asked, against a request to the authorizer itself at the same rate`,
          `that request does not leave cpu ${options.loadCpu}, a question does: what a caller on the worker's cpu sees stands beside it`,
        ],
        columns: ['requests/s', 'target', 'p50 µs', 'p99 µs', 'failed'],
        rows: rates.flatMap((rate) =>
          targets.map(({ name }) => [
            String(rate),
            name,
            format(p50(rate, name)),
            format(of(rate, name, (result) => result.p99Ms * 1000)),
            String(results.get(`${rate} ${name}`)!.reduce((sum, { failed }) => sum + failed, 0)),
          ]),
        ),
        goals: rates.map((rate) =>
          atMost(
            `added p50 at ${rate}/s`,
            added(rate) / p50(rate, 'authorizer itself'),
            1,
            'x a request to the authorizer',
          ),
        ),
        remarks: [],
        raw: Object.fromEntries(results),
      }
    } finally {
      for (const peer of started) await peer.close()
      await origin.close()
    }
  },
}

/** The application answers 200 to everything, so it is the authorizer as well. */
const authorizer: ExternalAuthorizerSpec = {
  name: provider,
  service: benchService,
  timeoutMs: 1000,
  failOpen: false,
  statusOnError: 403,
  call: {
    kind: 'http',
    pathPrefix: '/check',
    requestFields: [],
    moreFields: {},
    upstreamOnAllow: [],
    downstreamOnDeny: [],
  },
}
const asks: FilterSpec = { kind: 'ext-authz', provider, authorizer }
const authorization: AuthorizationSpec = {
  trustDomain: 'cluster.local',
  policies: [{ namespace: 'public', name: 'ask', action: 'CUSTOM', provider, rules: [{}] }],
}
const withPolicy = (snapshot: Snapshot): Snapshot => ({
  ...snapshot,
  virtualHosts: Object.fromEntries(
    Object.entries(snapshot.virtualHosts).map(([name, host]) => [name, { ...host, authorization }]),
  ) as Snapshot['virtualHosts'],
})
