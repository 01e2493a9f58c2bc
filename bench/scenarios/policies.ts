/** What 1,000 authorization policies of 100 rules cost a request that they allow, and what a known token does. */
import type { AuthenticationSpec } from '../../contracts/authentication-spec.ts'
import type { AuthorizationSpec } from '../../contracts/authorization-spec.ts'
import type { FilterSpec } from '../../contracts/route-spec.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { DecisionCounts } from '../../agent/worker/filters/authorization/decision-counts.ts'
import { authorizationKind } from '../../agent/worker/filters/authorization/authorization.ts'
import { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import { TokenIssuer } from '../../test/support/tokens.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { RunningMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { againstPlain, againstPlainColumns } from './against-plain.ts'
import { methodOf } from './http1.ts'

const policyCount = 1000
const ruleCount = 100

export const policies: Scenario = {
  name: 'policies',
  title: `${policyCount} authorization policies of ${ruleCount} rules, and a token: CPU µs per request against none`,
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const common = oneWorker(options, origin.port, 'http')
    const { authorization, compiledMs, readMs } = compiled()
    const issuer = await TokenIssuer.make('https://issuer.test')
    const authentication: AuthenticationSpec = { rules: [jwtRule(issuer)] }
    const started: RunningMesh[] = []
    const start = async (filters: readonly FilterSpec[], more: object): Promise<void> => {
      const amend = (snapshot: Snapshot): Snapshot => ({
        ...snapshot,
        virtualHosts: Object.fromEntries(
          Object.entries(snapshot.virtualHosts).map(([name, host]) => [name, { ...host, ...more }]),
        ) as Snapshot['virtualHosts'],
      })
      started.push(await startMesh({ ...common, filters, amend }))
    }
    try {
      await start([], {})
      await start([{ kind: 'authorization' }], { authorization })
      await start([{ kind: 'jwt' }], { authentication })
      const headers = { authorization: `Bearer ${await issuer.token()}` }
      const contenders = ['none', 'policies', 'a token that is known'].map((name, index) => ({
        name,
        peer: started[index]!,
        path: '/',
        headers,
      }))
      const figures = await runWindows(contenders, 64, options)
      const toNone = (index: number): number => figures[index]!.median / figures[0]!.median
      return {
        name: 'policies',
        title: policies.title,
        method: [
          ...methodOf(options),
          'ALLOW policies by principal, path and method; the last rule of the last one allows the request',
          'all contenders get the same token, which one of them verifies once and then knows',
        ],
        columns: againstPlainColumns,
        rows: againstPlain(figures),
        goals: [
          atMost('policies', toNone(1), 1.05, 'x none'),
          atMost('a token that is known', toNone(2), 1.05, 'x none'),
          atMost('compiled, in control and a worker', compiledMs, 1000, 'ms'),
        ],
        remarks: [`their text was read in ${format(readMs)} ms before`, ...remarksOn(figures)],
        raw: figures,
      }
    } finally {
      for (const mesh of started) await mesh.close()
      await origin.close()
    }
  },
}

/** By control's compiler, as in a host with these rules; then as a worker makes its tests of them. */
function compiled(): {
  readonly authorization: AuthorizationSpec
  readonly readMs: number
  readonly compiledMs: number
} {
  const documents = Array.from({ length: policyCount }, (_, at) => ({ name: `p${at}.yaml`, text: policyText(at) }))
  const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' })
  const from = performance.now()
  store.replaceSource('bench', documents)
  const readMs = performance.now() - from
  const { authorization } = store.virtualHost('public/DEFAULT_GROUP@@bench').spec
  if (authorization === undefined) throw new Error('no policy holds')
  const origin = { kind: 'default', name: '', path: '' }
  authorizationKind(new DecisionCounts()).make(
    { kind: 'authorization' },
    {
      host: 'bench',
      route: { name: 'default', origin },
      authentication: undefined,
      authorization,
      responseEdits: null,
      now: 0,
      limitShare: 1,
      counts: undefined as never,
      former: () => undefined,
    },
  )
  return { authorization, readMs, compiledMs: performance.now() - from - readMs }
}

function policyText(policy: number): string {
  const rules = Array.from({ length: ruleCount }, (_, rule) => {
    const isLast = policy === policyCount - 1 && rule === ruleCount - 1
    const operation = isLast
      ? '{ paths: [/], methods: [GET] }'
      : `{ paths: ['/v${policy}/r${rule}/*'], methods: [GET] }`
    const from = isLast ? '' : `from: [{ source: { principals: [mesh/ns/a/sa/s${policy}-${rule}] } }], `
    return `    - { ${from}to: [{ operation: ${operation} }] }`
  })
  return [
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    `metadata: { name: p${policy}, namespace: public, annotations: { hostmesh.io/side: Outbound } }`,
    'spec:',
    '  rules:',
    ...rules,
    '',
  ].join('\n')
}

function jwtRule(issuer: TokenIssuer): AuthenticationSpec['rules'][number] {
  return {
    policy: 'public/bench',
    issuer: issuer.name,
    keys: [issuer.jwk as Record<string, string>],
    fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }],
    fromParams: [],
    fromCookies: [],
  }
}
