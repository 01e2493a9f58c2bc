/** What filters of a route cost: none, one, three, and one of a user, which all let the request pass. */
import { fileURLToPath } from 'node:url'
import type { FilterSpec } from '../../contracts/route-spec.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { RunningMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { userFilter } from '../user-filter.ts'
import { atMost } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { againstPlain, againstPlainColumns } from './against-plain.ts'
import { methodOf } from './http1.ts'

const rateLimit: FilterSpec = {
  kind: 'rate-limit',
  name: 'bench',
  maxTokens: 1_000_000_000,
  tokensPerFill: 1_000_000_000,
  fillIntervalMs: 1000,
  per: 'route',
  status: 429,
  origin: { kind: 'MeshPolicy', name: 'public/bench', path: 'spec.rateLimits[0]' },
}
/** As control orders them; a caller without an Origin, and faults for nobody. */
const three: readonly FilterSpec[] = [
  {
    kind: 'cors',
    allowOrigins: [{ exact: 'https://shop.example' }],
    allowMethods: ['GET'],
    allowHeaders: [],
    exposeHeaders: [],
    allowCredentials: false,
  },
  { kind: 'fault-abort', share: 0, status: 503 },
  rateLimit,
]

const noop = userFilter({
  name: 'noop',
  path: fileURLToPath(new URL('../noop-filter.mjs', import.meta.url)),
  settings: {},
})
const user: FilterSpec = { kind: 'user', name: noop.name, origin: rateLimit.origin }

export const filters: Scenario = {
  name: 'filters',
  title: 'Filters of a route: CPU µs per request against a route without any',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const common = { ...oneWorker(options, origin.port, 'http'), userFilters: [noop] }
    const started: RunningMesh[] = []
    try {
      for (const list of [[], [rateLimit], three, [user]]) started.push(await startMesh({ ...common, filters: list }))
      const contenders = [
        'none',
        'one: rate limit',
        'three: CORS, abort, rate limit',
        'a user’s, which does nothing',
      ].map((name, index) => ({
        name,
        peer: started[index]!,
        path: '/',
      }))
      const figures = await runWindows(contenders, 64, options)
      return {
        name: 'filters',
        title: filters.title,
        method: [...methodOf(options), 'every filter lets every request pass'],
        columns: againstPlainColumns,
        rows: againstPlain(figures),
        goals: [
          atMost('three filters', figures[2]!.median / figures[0]!.median, 1.1, 'x none'),
          atMost('a filter of a user', figures[3]!.median / figures[0]!.median, 1.03, 'x none'),
        ],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      for (const mesh of started) await mesh.close()
      await origin.close()
    }
  },
}
