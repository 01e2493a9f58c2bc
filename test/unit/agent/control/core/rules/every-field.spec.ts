/**
 * Every accepted field of every kind of rule has an effect: for each there are two documents that differ in it alone
 * and are both applied, and what they compile to differs. Fields are found in the shapes, so a new one is tested by
 * being there; one without an effect, or without an example that is applied, fails.
 */
import { expect } from 'chai'
import type * as z from 'zod'
import { decidesNothing } from '../../../../../../agent/control/core/rules/fields.ts'
import { ruleKinds, specShape } from '../../../../../../agent/control/core/rules/kinds.ts'
import type { RuleKind } from '../../../../../../agent/control/core/rules/kinds.ts'
import { entrySet } from '../../../../../../agent/control/core/rules/service-entry.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { inboundApplication } from '../../../../../support/routing.ts'
import { acceptedValues, bareOf, fieldsOf, isBranch, valueAt, withValue } from '../../../../../support/schema-walk.ts'
import type { Path } from '../../../../../support/schema-walk.ts'

type Spec = Record<string, unknown>

/** Texts, numbers and so on of which each leaf takes some. */
const pool: readonly unknown[] = [
  ['orders', 'ledger', 'v1', 'v2', 'GET', 'x-first', 'x-second', 'a', 'b', '/first', '/second', 'prod', 'public'],
  [
    '1s',
    '2s',
    '10.0.0.0/8',
    '11.0.0.0/8',
    '10.0.0.1',
    '10.0.0.2',
    'region/zone',
    'region/other',
    'mesh',
    '.',
    '*',
    'Service',
  ],
  [keySet('a'), keySet('c'), 'https://a.example.com/keys', 'https://b.example.com/keys'],
  ['8080', '9090', 'source.principal', 'source.namespace', 'ALLOW', 'DENY', 'z/y', 'z/x'],
  ['5xx', 'reset', 'http', 'https', 'HTTP', 'TCP', 'eA==', 'eQ==', 'other.example.com', '[a-z]+', '[0-9]+'],
  [1, 2, 3, 5, 7, 80, 100, 301, 302, 404, 503, 8080, 9090, 50, 97, 101, true, false],
].flat()

const toOrders = { destination: { host: 'orders' } }
const routed = { hosts: ['orders'], http: [{ route: [toOrders] }] }
const anchor = (route: object): Spec => ({ hosts: ['orders'], http: [{ ...route }, { route: [toOrders] }] })
const policies: readonly Spec[] = [
  {},
  { loadBalancer: { consistentHash: {} } },
  { loadBalancer: { consistentHash: { useSourceIp: true } } },
  { loadBalancer: { consistentHash: { httpCookie: { name: 'c' } } } },
  { loadBalancer: { localityLbSetting: { distribute: [{ from: 'region/zone', to: { 'region/zone': 100 } }] } } },
  { loadBalancer: { localityLbSetting: { failover: [{ from: 'r', to: 's' }] } } },
  { loadBalancer: { warmup: { duration: '9s' } } },
  { loadBalancer: { simple: 'RANDOM' } },
  { tls: { mode: 'SIMPLE', subjectAltNames: ['a'] } },
  { tls: { mode: 'MUTUAL', sni: 'a', credentialName: 'z' } },
  { tls: { mode: 'ISTIO_MUTUAL' } },
]
const jwks = keySet('a')
const subset = { name: 'v1', labels: { version: 'v1' } }
const entry = (more: object = {}): Spec => ({
  hosts: ['orders'],
  ports: [{ number: 80, name: 'a', protocol: 'HTTP' }],
  resolution: 'STATIC',
  endpoints: [{ address: '10.0.0.9' }],
  ...more,
})

const gateway = (more: object = {}): Spec => ({
  selector: { app: 'v1' },
  servers: [{ port: { number: 80, protocol: 'HTTP' }, hosts: ['*'], ...more }],
})

const service = { kind: 'Service', name: 'orders' }
const backend = { name: 'ledger', port: 80 }
const filters = [
  {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: { set: [{ name: 'x-z', value: 'z' }], add: [{ name: 'x-y', value: 'z' }] },
  },
  {
    type: 'ResponseHeaderModifier',
    responseHeaderModifier: { set: [{ name: 'x-z', value: 'z' }], add: [{ name: 'x-y', value: 'z' }] },
  },
  { type: 'RequestMirror', requestMirror: { backendRef: { name: 'chosen', port: 80 } } },
  { type: 'RequestMirror', requestMirror: { backendRef: { name: 'chosen' }, fraction: { numerator: 1 } } },
  { type: 'RequestRedirect', requestRedirect: { path: { type: 'ReplaceFullPath', replaceFullPath: '/z' } } },
  { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/z' } } },
  { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/z' } } },
]
const httpRules: readonly Spec[] = [
  { backendRefs: [backend, { ...backend, name: 'a' }] },
  { backendRefs: [{ name: 'chosen', port: 80 }] },
  { backendRefs: [backend], matches: [{ path: { type: 'Exact', value: '/z' } }, { method: 'GET' }] },
  { backendRefs: [backend], matches: [{ method: { service: 's', method: 'm' } }] },
  { backendRefs: [backend], matches: [{ headers: [{ name: 'x-z', value: '[z]' }] }] },
  { backendRefs: [backend], matches: [{ queryParams: [{ name: 'z', value: '[z]' }] }] },
  ...filters.map((one) => ({ backendRefs: [backend], filters: [one] })),
  ...filters.map((one) => ({ backendRefs: [{ ...backend, filters: [one] }] })),
  { backendRefs: [backend], retry: { codes: [500], attempts: 1 } },
]

/**
 * Documents in which a field can stand: the first in which a changed value is applied is used. A field whose place none
 * of them has is put into each.
 */
const bases: Readonly<Record<RuleKind, readonly Spec[]>> = {
  VirtualService: [
    routed,
    anchor({ match: [{ uri: { prefix: '/p' } }], route: [toOrders] }),
    anchor({ redirect: { uri: '/r' } }),
    anchor({ directResponse: { status: 200 } }),
    anchor({ delegate: { name: 'below' } }),
    anchor({ route: [toOrders], rewrite: { authority: 'z.example.com' } }),
    anchor({ route: [toOrders], rewrite: { uriRegexRewrite: { match: 'a', rewrite: 'b' } } }),
    anchor({ route: [toOrders], retries: { attempts: 2 } }),
    anchor({ route: [toOrders], mirror: { host: 'm' } }),
    anchor({ route: [toOrders], mirrors: [{ destination: { host: 'm' } }] }),
    anchor({ route: [toOrders], fault: { delay: { fixedDelay: '3s' } } }),
    anchor({ route: [toOrders], fault: { delay: { fixedDelay: '3s', percentage: { value: 9 } } } }),
    anchor({ route: [toOrders], fault: { abort: { httpStatus: 500 } } }),
    anchor({ route: [toOrders], fault: { abort: { httpStatus: 500, percentage: { value: 9 } } } }),
    anchor({ route: [toOrders], corsPolicy: { allowOrigins: [{ exact: 'https://a' }] } }),
    anchor({ route: [toOrders], corsPolicy: {} }),
    anchor({
      route: [
        { ...toOrders, weight: 1 },
        { destination: { host: 'other' }, weight: 9 },
      ],
    }),
    anchor({ match: [{ uri: { exact: '/case' } }], route: [toOrders] }),
    { hosts: ['orders'], tcp: [{ route: [toOrders] }] },
    {
      hosts: ['orders'],
      tcp: [
        {
          route: [
            { ...toOrders, weight: 1 },
            { destination: { host: 'other' }, weight: 9 },
          ],
        },
      ],
    },
    { hosts: ['orders'], tcp: [{ match: [{ port: 1 }], route: [toOrders] }, { route: [toOrders] }] },
    { hosts: ['orders'], tls: [{ match: [{ sniHosts: ['z.example'] }], route: [toOrders] }] },
    {
      hosts: ['orders'],
      tls: [
        {
          match: [{ sniHosts: ['z.example'] }],
          route: [
            { ...toOrders, weight: 1 },
            { destination: { host: 'other' }, weight: 9 },
          ],
        },
      ],
    },
  ],
  DestinationRule: policies.flatMap((one) => [
    { host: 'orders', trafficPolicy: one },
    { host: 'orders', trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, ...one }] } },
    { host: 'orders', subsets: [{ ...subset, trafficPolicy: one }] },
    {
      host: 'orders',
      subsets: [{ ...subset, trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, ...one }] } }],
    },
  ]),
  ServiceEntry: [
    entry(),
    entry({ endpoints: [{ address: 'name.example.com' }], resolution: 'DNS' }),
    entry({ endpoints: [{ address: '10.0.0.9', ports: { a: 8080 } }] }),
    entry({ endpoints: undefined, addresses: ['192.0.2.1'] }),
    entry({ endpoints: undefined, workloadSelector: { labels: { app: 'w' } } }),
    entry({ endpoints: undefined, resolution: 'DNS', addresses: ['192.0.2.1'] }),
  ],
  WorkloadEntry: [{ address: '10.0.0.9', labels: { app: 'w' } }],
  Gateway: [
    gateway(),
    gateway({ port: { number: 80, protocol: 'HTTP' }, tls: { httpsRedirect: true } }),
    gateway({ port: { number: 80, protocol: 'HTTPS' }, tls: { mode: 'SIMPLE', credentialName: 'z' } }),
    gateway({ port: { number: 80, protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' } }),
    gateway({
      port: { number: 80, protocol: 'HTTPS' },
      tls: { mode: 'MUTUAL', credentialName: 'z', subjectAltNames: ['z'] },
    }),
    gateway({ bind: '10.0.0.2' }),
  ],
  HTTPRoute: [
    ...httpRules.map((rule) => ({ parentRefs: [service], rules: [rule] })),
    { parentRefs: [{ kind: 'Service', name: 'other' }, service], rules: [{ backendRefs: [backend] }] },
    { parentRefs: [service, { kind: 'Service', name: 'other' }], rules: [{ backendRefs: [backend] }] },
  ],
  GRPCRoute: [
    ...httpRules.map((rule) => ({ parentRefs: [service], rules: [rule] })),
    { parentRefs: [service, { kind: 'Service', name: 'other' }], rules: [{ backendRefs: [backend] }] },
  ],
  TCPRoute: [
    { parentRefs: [service], rules: [{ backendRefs: [backend, { ...backend, name: 'a' }] }] },
    { parentRefs: [service], rules: [{ backendRefs: [{ name: 'chosen', port: 80 }] }] },
    { parentRefs: [service, { kind: 'Service', name: 'other' }], rules: [{ backendRefs: [backend] }] },
  ],
  PeerAuthentication: [
    { mtls: { mode: 'STRICT' } },
    { selector: { matchLabels: { app: 'orders' } }, mtls: { mode: 'STRICT' } },
    {
      selector: { matchLabels: { app: 'orders' } },
      mtls: { mode: 'STRICT' },
      portLevelMtls: { 8080: { mode: 'DISABLE' } },
    },
  ],
  MeshPolicy: [
    { panicThresholdPercent: 9 },
    { healthCheck: { http: { path: '/h' } } },
    { healthCheck: { tcp: {} } },
    { loadBalancer: { peakEwma: {} } },
    { loadBalancer: { leastRequest: {} } },
    { outlierDetection: { successRate: {} } },
    { rateLimits: [{ name: 'l', maxTokens: 9, fillInterval: '9s' }] },
    { filters: [{ name: 'z' }] },
    ...[
      { genericKey: { descriptorValue: 'z' } },
      { requestHeaders: { headerName: 'x-z', descriptorKey: 'z' } },
      { headerValueMatch: { descriptorValue: 'z', headers: { 'x-z': { exact: 'z' } } } },
      { remoteAddress: {} },
      { sourceCluster: {} },
    ].map((action) => ({
      panicThresholdPercent: 9,
      globalRateLimits: [{ name: 'g', provider: 'z', domain: 'z', descriptors: [{ actions: [action] }] }],
    })),
    { hedging: [{ after: '9s' }] },
    { callers: [{ caller: 'z', maxRequests: 9 }] },
    { callers: [{ caller: 'z', weight: 9 }] },
  ],
  RequestAuthentication: [
    { jwtRules: [{ issuer: 'https://issuer' }] },
    { jwtRules: [{ issuer: 'z', jwks }] },
    { jwtRules: [{ issuer: 'z', jwks, fromHeaders: [{ name: 'x-z' }] }] },
    { jwtRules: [{ issuer: 'z', jwks, outputClaimToHeaders: [{ header: 'x-z', claim: 'z' }] }] },
    ...[{ targetRef: service }, { targetRefs: [service] }, { selector: {} }].map((scope) => ({
      ...scope,
      jwtRules: [{ issuer: 'z', jwks }],
    })),
  ],
  AuthorizationPolicy: [
    {},
    { rules: [{ from: [{ source: { principals: ['z'] } }] }] },
    { rules: [{ from: [{ source: { serviceAccounts: ['z'] } }] }] },
    { rules: [{ to: [{ operation: { methods: ['Z'] } }] }] },
    { rules: [{ to: [{ operation: { paths: ['/z'] } }] }] },
    { rules: [{ when: [{ key: 'source.principal', values: ['z'] }] }] },
    { rules: [{ when: [{ key: 'source.principal', notValues: ['z'] }] }] },
    { action: 'CUSTOM', provider: { name: 'z' }, rules: [{}] },
    { targetRef: { kind: 'Service', name: 'orders' } },
    { targetRefs: [{ kind: 'Service', name: 'orders' }] },
  ],
}

/** Names in maps of free names, by the last part of the path above them. */
const freeNames: Readonly<Record<string, string>> = {
  to: 'region/zone',
  ports: 'a',
  labels: 'app',
  matchLabels: 'app',
  portLevelMtls: '8080',
}

/** Beside the document: what it may refer to. Nothing here is about the same host and kind. */
const beside: readonly (readonly [RuleKind, string, Spec])[] = [
  ['VirtualService', 'below', { http: [{ route: [{ destination: { host: 'below' } }] }] }],
  ['VirtualService', 'a', { http: [{ timeout: '7s', route: [{ destination: { host: 'a' } }] }] }],
  ['VirtualService', 'b', { http: [{ timeout: '8s', route: [{ destination: { host: 'b' } }] }] }],
  [
    'ServiceEntry',
    'chosen',
    {
      hosts: ['chosen'],
      ports: [{ number: 80, name: 'a', protocol: 'HTTP' }],
      workloadSelector: { labels: { app: 'w' } },
    },
  ],
  [
    'VirtualService',
    'behind',
    {
      hosts: ['*'],
      gateways: ['x'],
      http: [{ route: [{ destination: { host: 'a' } }] }],
      tcp: [{ route: [{ destination: { host: 'a' } }] }],
    },
  ],
  ['WorkloadEntry', 'w', { address: '10.0.0.8', labels: { app: 'w' } }],
  ['WorkloadEntry', 'v1', { address: '10.0.0.7', labels: { app: 'v1' } }],
  ['WorkloadEntry', 'v2', { address: '10.0.0.6', labels: { app: 'v2' } }],
]

function keySet(letter: string): string {
  return JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', x: letter.repeat(43), y: 'b'.repeat(43) }] })
}

function apiVersionOf(kind: RuleKind): string {
  if (kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication') return 'security.istio.io/v1'
  if (kind.endsWith('Route')) return 'gateway.networking.k8s.io/v1'
  if (kind === 'PeerAuthentication') return 'security.istio.io/v1'
  return kind === 'MeshPolicy' ? 'hostmesh.io/v1' : 'networking.istio.io/v1'
}

const documentOf = (kind: RuleKind, name: string, spec: unknown) => ({
  name,
  text: JSON.stringify({
    apiVersion: apiVersionOf(kind),
    kind,
    metadata: { name },
    spec,
  }),
})

function storeWithOthers(): RuleStore {
  const ports = pool.filter((one) => typeof one === 'number')
  const opened = { labels: { app: 'v1' }, addresses: ['10.0.0.1', '10.0.0.2'], ports, trustedProxies: 0 }
  const store = new RuleStore({
    namespace: 'public',
    group: 'DEFAULT_GROUP',
    namespaces: ['prod'],
    gateway: { ...opened, address: '10.0.0.1' },
  })
  store.replaceSource(
    'beside',
    beside.map(([kind, name, spec]) => documentOf(kind, name, spec)),
  )
  return store
}

/**
 * The whole of what rules compile to for the services that the documents speak of; undefined unless the document is
 * applied.
 */
function compiledOf(store: RuleStore, kind: RuleKind, spec: unknown): string | undefined {
  store.replaceSource('tested', [])
  const [status] = store.replaceSource('tested', [documentOf(kind, 'x', spec)]).statuses
  if (status!.state === 'rejected') return undefined
  const names = [
    'orders',
    'ledger',
    'v1',
    'v2',
    'a',
    'b',
    'other',
    'm',
    'chosen',
    'prod/DEFAULT_GROUP@@orders',
    '10.0.0.1',
    '10.0.0.2',
  ]
  const keys = new Set([...names.flatMap((name) => store.resolveName(name) ?? []), ...store.declaredKeys()])
  const all = [...keys].toSorted().map((key) => {
    const declared = store.declaredService(key)
    const { spec: host, services } = store.virtualHost(key)
    const inbound = store.inboundVirtualHost(key, inboundApplication(key))
    const endpoints =
      declared === undefined ? undefined : entrySet(declared, new Map([['name.example.com', ['10.0.0.5']]]), 1, 0)
    const mtls = ['orders', 'a', 'v1', 'z'].map((app) => store.inboundMtls(key, { labels: { app }, port: 8080 }))
    const policy = store.inboundPolicy(key)
    return { key, host, services, inbound, policy, mtls, service: store.service(key), declared, endpoints }
  })
  const text = JSON.stringify(
    [all, names.map((name) => store.resolveName(name)), store.keySources(), store.gateways()],
    (_, value: unknown) => (isOrigin(value) ? undefined : value === undefined ? 'undefined' : value),
  )
  return text.replaceAll(/"origins":\{[^}]*\}/g, '')
}

/** Places of origin name the field itself; they are no effect. */
function isOrigin(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    'name' in value &&
    'path' in value &&
    Object.keys(value).length === 3
  )
}

/** Fields that another field refers to: another value makes that one wrong, which is their effect. */
const referredTo: ReadonlySet<string> = new Set(['ports.0.name', 'filters.0.type', 'path.type'])

/**
 * Tries documents that differ in the field alone until two of them are applied and compile to something else. A field
 * of one value is held against its absence.
 */
function hasEffect(
  store: RuleStore,
  kind: RuleKind,
  path: Path,
  schema: z.ZodType,
): 'effect' | 'no effect' | 'no example' {
  const values = acceptedValues(schema, isBranch(schema) ? [{}] : pool)
  let applied = 0
  for (const base of bases[kind]) {
    const variants = [valueAt(base, path), ...values].map((value) => withValue(base, path, value))
    if (values.length === 1)
      variants.push(...path.map((_, length) => withValue(base, path.slice(0, length + 1), undefined)))
    const seen = new Set<string | undefined>()
    for (const variant of variants) {
      const compiled = compiledOf(store, kind, variant)
      seen.add(compiled)
      if (compiled !== undefined) applied++
      const isReferredTo = referredTo.has(path.slice(-3).join('.')) || referredTo.has(path.slice(-2).join('.'))
      const isBroken = seen.has(undefined) && isReferredTo
      if (seen.size > (seen.has(undefined) && !isBroken ? 2 : 1) && applied > 0) return 'effect'
    }
  }
  return applied > 1 ? 'no effect' : 'no example'
}

/** Leaves, and maps of no field at all; what else is a map or a list is tested by what is in it. */
function isTested(schema: z.ZodType): boolean {
  if (!isBranch(schema)) return true
  const { shape } = bareOf(schema).def as unknown as { shape?: object }
  return shape !== undefined && Object.keys(shape).length === 0
}

/** Only `undefined` is taken: the field is refused by name. */
function isRefused(schema: z.ZodType): boolean {
  return acceptedValues(schema, [...pool, {}, [], 'x', 9]).length === 0
}

describe('every accepted field of a rule', function () {
  this.timeout(120_000)
  for (const kind of ruleKinds) {
    it(`of a ${kind} changes what is compiled`, () => {
      const store = storeWithOthers()
      const failures: string[] = []
      let walked = 0
      for (const { path, schema } of fieldsOf(
        specShape(kind),
        (above) => freeNames[String(above.at(-1))] ?? 'x-free',
      )) {
        if (decidesNothing.has(schema) || !isTested(schema) || isRefused(schema)) continue
        walked++
        const result = hasEffect(store, kind, path, schema)
        if (result !== 'effect') failures.push(`${path.join('.')}: ${result}`)
      }
      expect(failures, failures.join('\n')).to.deep.equal([])
      expect(walked).to.be.above(1)
    })
  }
})
