/**
 * The effective policy of a service, a subset or a port, built in layers; later ones win, value by value, and every
 * value keeps its origin:
 *
 *   defaults < MeshPolicy without hosts < MeshPolicy with a wildcard host < DestinationRule < MeshPolicy with this host
 *   < DestinationRule's subset or port
 *
 * Inside a DestinationRule Istio's own merging holds: settings of a port replace the policy of the rule and inherit
 * nothing; a subset's loadBalancer, connectionPool or outlierDetection replaces the section whole; a subset's own
 * settings of a port replace all of it.
 */
import { defaultTrafficPolicy } from '../../../../contracts/policy-spec.ts'
import type {
  HashKeySpec,
  LoadBalancerSpec,
  LocalitySpec,
  OutlierSpec,
  TrafficPolicySpec,
  UpstreamTlsSpec,
} from '../../../../contracts/policy-spec.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import type { PolicyFieldsShape, TrafficPolicyShape } from './destination-rule-shape.ts'
import { originBelow } from './merged-destination-rule.ts'
import type { MergedDestinationRule } from './merged-destination-rule.ts'
import type { MeshPolicySpec } from './mesh-policy-shape.ts'
import { applyOverload } from './overload-layer.ts'
import { PolicyDraft } from './policy-draft.ts'
import type { OriginAt } from './policy-draft.ts'

/** One layer, ready to be applied. */
export type PolicyLayer = (draft: PolicyDraft) => void

export function effectivePolicy(layers: readonly PolicyLayer[]): TrafficPolicySpec {
  const draft = new PolicyDraft()
  for (const layer of layers) layer(draft)
  return draft.build()
}

/** Which part of a DestinationRule decides about a way to a service. */
export interface RuleScope {
  readonly subset: string | undefined
  readonly port: number | undefined
}

export interface RuleLayers {
  /** What holds for the whole host. */
  readonly host: PolicyLayer
  /** What the subset or port says by itself. */
  readonly specific: PolicyLayer
}

type Section = keyof PolicyFieldsShape

interface SectionValue {
  readonly value: unknown
  readonly origin: OriginAt
  /** Said for the subset or the port. */
  readonly isSpecific: boolean
}

type Sections = Map<Section, SectionValue>

const sections: readonly Section[] = [
  'loadBalancer',
  'connectionPool',
  'outlierDetection',
  'tls',
  'proxyProtocol',
  'retryBudget',
]
/** What settings of a port replace, said or not. */
const ofPorts: readonly Section[] = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls']

/**
 * As Istio merges (MergeTrafficPolicy): the rule's policy, with the settings of the port in place of it; over it each
 * section that the subset says; over all the subset's own settings of the port.
 */
export function destinationRuleLayers(rule: MergedDestinationRule, scope: RuleScope): RuleLayers {
  const merged: Sections = new Map()
  take(merged, rule.policy, rule.origin, false)
  takePort(merged, rule.policy, scope.port, rule.origin)
  const subset = rule.subsets.find((one) => one.name === scope.subset)
  if (subset !== undefined) {
    take(merged, subset.policy, subset.origin, true)
    takePort(merged, subset.policy, scope.port, subset.origin)
  }
  return { host: sectionsLayer(merged, false), specific: sectionsLayer(merged, true) }
}

function take(
  merged: Sections,
  fields: Partial<PolicyFieldsShape> | undefined,
  origin: OriginAt,
  isSpecific: boolean,
): void {
  for (const section of sections) {
    const value = fields?.[section]
    if (value !== undefined) merged.set(section, { value, origin, isSpecific })
  }
}

function takePort(
  merged: Sections,
  policy: TrafficPolicyShape | undefined,
  port: number | undefined,
  origin: OriginAt,
): void {
  const index = policy?.portLevelSettings?.findIndex((setting) => setting.port === port) ?? -1
  const settings = policy?.portLevelSettings?.[index]
  if (settings === undefined) return
  for (const section of ofPorts) merged.delete(section)
  take(merged, settings, originBelow(origin, `portLevelSettings[${index}]`), true)
}

function sectionsLayer(merged: Sections, isSpecific: boolean): PolicyLayer {
  const hasBudget = merged.get('retryBudget')?.isSpecific === isSpecific
  return (draft) => {
    for (const [section, entry] of merged) {
      if (entry.isSpecific === isSpecific) applyFields(draft, { [section]: entry.value }, entry.origin, hasBudget)
    }
  }
}

/** Ports with settings of their own, for the host or for one of its subsets. */
export function portsWithSettings(rule: MergedDestinationRule, subset: string | undefined): number[] {
  const own = rule.subsets.find((one) => one.name === subset)?.policy?.portLevelSettings ?? []
  return [...new Set([...(rule.policy?.portLevelSettings ?? []), ...own].map((setting) => setting.port))]
}

/** `hasBudget`: a budget of retries is said beside a bound on them. */
function applyFields(
  draft: PolicyDraft,
  fields: Partial<PolicyFieldsShape>,
  origin: OriginAt,
  hasBudget: boolean,
): void {
  if (fields.loadBalancer !== undefined)
    applyLoadBalancer(draft, fields.loadBalancer, originBelow(origin, 'loadBalancer'))
  if (fields.connectionPool !== undefined)
    applyPool(draft, fields.connectionPool, originBelow(origin, 'connectionPool'), hasBudget)
  if (fields.outlierDetection !== undefined) applyOutlier(draft, fields.outlierDetection, origin)
  if (fields.tls !== undefined) draft.set('tls', upstreamTls(fields.tls), origin('tls'))
  if (fields.proxyProtocol !== undefined) {
    const version = fields.proxyProtocol.version === 'V2' ? 'v2' : 'v1'
    draft.set('proxyProtocol', version, origin('proxyProtocol'))
  }
  if (fields.retryBudget !== undefined) applyRetryBudget(draft, fields.retryBudget, origin('retryBudget'))
}

function upstreamTls({
  credentialName: credential,
  mode,
  sni = '',
  subjectAltNames = [],
}: NonNullable<PolicyFieldsShape['tls']>): UpstreamTlsSpec {
  if (mode === undefined || mode === 'DISABLE') return { mode: 'disable' }
  const named = credential === undefined ? {} : { credential }
  return {
    mode: mode === 'ISTIO_MUTUAL' ? 'mutual' : 'simple',
    sni,
    subjectAltNames,
    ...named,
    ...(mode === 'MUTUAL' ? { showsCredential: true } : {}),
  }
}

type LoadBalancer = NonNullable<PolicyFieldsShape['loadBalancer']>

function applyLoadBalancer(draft: PolicyDraft, spec: LoadBalancer, origin: OriginAt): void {
  if (spec.simple !== undefined) draft.set('loadBalancer', simpleBalancer(spec.simple), origin('simple'))
  if (spec.consistentHash !== undefined) {
    draft.set('loadBalancer', hashBalancer(spec.consistentHash), origin('consistentHash'))
  }
  const warmup = spec.warmup?.duration ?? spec.warmupDurationSecs
  if (warmup !== undefined) {
    draft.set('warmupMs', warmup, origin(spec.warmup === undefined ? 'warmupDurationSecs' : 'warmup.duration'))
  }
  if (spec.localityLbSetting !== undefined) {
    draft.set('locality', localitySpec(spec.localityLbSetting), origin('localityLbSetting'))
  }
}

function simpleBalancer(word: NonNullable<LoadBalancer['simple']>): LoadBalancerSpec {
  switch (word) {
    case 'ROUND_ROBIN':
      return { kind: 'round-robin' }
    case 'RANDOM':
      return { kind: 'random' }
    case 'PASSTHROUGH':
      return { kind: 'passthrough' }
    case 'LEAST_REQUEST':
    case 'LEAST_CONN':
      return { kind: 'least-request', choices: 2 }
    case 'UNSPECIFIED':
      return defaultTrafficPolicy.loadBalancer
  }
}

/** Istio's defaults: a ring of at least 1,024 nodes, a table of 65,537. */
function hashBalancer(hash: NonNullable<LoadBalancer['consistentHash']>): LoadBalancerSpec {
  const key = hashKey(hash)
  return hash.maglev === undefined
    ? { kind: 'ring-hash', key, minimumRingSize: hash.ringHash?.minimumRingSize ?? hash.minimumRingSize ?? 1024 }
    : { kind: 'maglev', key, tableSize: hash.maglev.tableSize ?? 65_537 }
}

function hashKey(hash: NonNullable<LoadBalancer['consistentHash']>): HashKeySpec {
  if (hash.httpHeaderName !== undefined) return { from: 'header', name: hash.httpHeaderName }
  if (hash.httpCookie !== undefined) {
    const { name, path, ttl } = hash.httpCookie
    return { from: 'cookie', name, path: path ?? '', ttlMs: ttl }
  }
  if (hash.httpQueryParameterName !== undefined) return { from: 'query', name: hash.httpQueryParameterName }
  return { from: 'source-address' }
}

function localitySpec(setting: NonNullable<LoadBalancer['localityLbSetting']>): LocalitySpec {
  return {
    enabled: setting.enabled ?? true,
    ...(setting.distribute === undefined
      ? {}
      : { distribute: setting.distribute.map(({ from, to }) => ({ from, to: shares(to) })) }),
    ...(setting.failover === undefined ? {} : { failover: setting.failover }),
  }
}

/** The keys of a record stay as written, `region/zone/*`: read again into `region/zone`. */
function shares(to: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(to).map(([locality, percent]) => [locality, percent / 100]))
}

function applyPool(
  draft: PolicyDraft,
  pool: NonNullable<PolicyFieldsShape['connectionPool']>,
  origin: OriginAt,
  hasBudget: boolean,
): void {
  const { tcp, http } = pool
  const rows: readonly (readonly [keyof TrafficPolicySpec['pool'], number | undefined, string])[] = [
    ['maxConnections', tcp?.maxConnections, 'tcp.maxConnections'],
    ['connectTimeoutMs', tcp?.connectTimeout, 'tcp.connectTimeout'],
    ['maxConnectionAgeMs', tcp?.maxConnectionDuration, 'tcp.maxConnectionDuration'],
    ['tcpIdleTimeoutMs', tcp?.idleTimeout, 'tcp.idleTimeout'],
    ['maxPending', http?.http1MaxPendingRequests, 'http.http1MaxPendingRequests'],
    ['maxRequests', http?.http2MaxRequests, 'http.http2MaxRequests'],
    ['maxRequestsPerConnection', http?.maxRequestsPerConnection, 'http.maxRequestsPerConnection'],
    ['maxConcurrentStreams', http?.maxConcurrentStreams, 'http.maxConcurrentStreams'],
    ['maxRetries', http?.maxRetries, 'http.maxRetries'],
    ['idleTimeoutMs', http?.idleTimeout, 'http.idleTimeout'],
  ]
  const given = rows.filter(([, value]) => value !== undefined)
  draft.setPool(
    Object.fromEntries(given.map(([key, value]) => [key, value])),
    Object.fromEntries(given.map(([key, , path]) => [key, origin(path)])),
  )
  if (http?.h2UpgradePolicy !== undefined) {
    const upgradesToHttp2 = http.h2UpgradePolicy === 'UPGRADE'
    draft.setPool({ upgradesToHttp2 }, { upgradesToHttp2: origin('http.h2UpgradePolicy') })
  }
  // a budget takes the place of the bound (Envoy): beside the default one the bound would never be looked at
  if (http?.maxRetries !== undefined && !hasBudget) draft.set('retryBudget', undefined, origin('http.maxRetries'))
  if (tcp?.tcpKeepalive !== undefined) {
    const { time, interval, probes } = tcp.tcpKeepalive
    // What is not said is the system's own: Linux starts after 2 h, then 9 probes every 75 s.
    const tcpKeepalive = { timeMs: time ?? 7_200_000, intervalMs: interval ?? 75_000, probes: probes ?? 9 }
    draft.setPool({ tcpKeepalive }, { tcpKeepalive: origin('tcp.tcpKeepalive') })
  }
}

/** Istio's defaults; the longest ejection is Envoy's 300 s. */
const defaultOutlier: OutlierSpec = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  consecutiveLocalFailures: 5,
  splitLocalErrors: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionShare: 0.1,
  minHealthShare: 0,
}

function applyOutlier(
  draft: PolicyDraft,
  spec: NonNullable<PolicyFieldsShape['outlierDetection']>,
  origin: OriginAt,
): void {
  const former = draft.policy.outlier
  const rows: readonly (readonly [keyof OutlierSpec, number | boolean | undefined, string])[] = [
    ['consecutive5xx', spec.consecutive5xxErrors, 'consecutive5xxErrors'],
    ['consecutiveGatewayErrors', spec.consecutiveGatewayErrors, 'consecutiveGatewayErrors'],
    ['consecutiveGatewayErrors', spec.consecutiveErrors, 'consecutiveErrors'],
    ['consecutive5xx', spec.consecutiveErrors === undefined ? undefined : 0, 'consecutiveErrors'],
    ['consecutiveLocalFailures', spec.consecutiveLocalOriginFailures, 'consecutiveLocalOriginFailures'],
    ['splitLocalErrors', spec.splitExternalLocalOriginErrors, 'splitExternalLocalOriginErrors'],
    ['intervalMs', spec.interval, 'interval'],
    ['baseEjectionMs', spec.baseEjectionTime, 'baseEjectionTime'],
    ['maxEjectionShare', spec.maxEjectionPercent, 'maxEjectionPercent'],
    ['minHealthShare', spec.minHealthPercent, 'minHealthPercent'],
  ]
  const given = rows.filter(([, value]) => value !== undefined)
  const values = Object.fromEntries(given.map(([key, value]) => [key, value]))
  // A MeshPolicy may have set what this resource cannot say.
  const kept = {
    maxEjectionMs: former?.maxEjectionMs ?? defaultOutlier.maxEjectionMs,
    ...(former?.successRate === undefined ? {} : { successRate: former.successRate }),
  }
  draft.set('outlier', { ...defaultOutlier, ...kept, ...values }, origin('outlierDetection'))
  for (const [key, , path] of given) draft.note(`outlier.${key}`, origin(`outlierDetection.${path}`))
  // Istio's own: without a word the ejected endpoints stay out, however few are left
  if (spec.minHealthPercent !== undefined || !draft.has('panicShare')) {
    const path = spec.minHealthPercent === undefined ? 'outlierDetection' : 'outlierDetection.minHealthPercent'
    draft.set('panicShare', spec.minHealthPercent ?? 0, origin(path))
  }
}

/** Istio's defaults: 20 % of the active requests, at least 3. */
function applyRetryBudget(
  draft: PolicyDraft,
  budget: NonNullable<PolicyFieldsShape['retryBudget']>,
  origin: RuleOrigin,
): void {
  const spec = { share: budget.percent ?? 0.2, minimumConcurrency: budget.minRetryConcurrency ?? 3 }
  draft.set('retryBudget', spec, origin)
}

/** The policy part of a MeshPolicy; limits and hedging belong to routes. */
export function meshPolicyLayer(spec: MeshPolicySpec, origin: OriginAt): PolicyLayer {
  const place = originBelow(origin, 'spec')
  return (draft) => {
    if (spec.loadBalancer !== undefined)
      draft.set('loadBalancer', ownBalancer(spec.loadBalancer), place('loadBalancer'))
    if (spec.retryBudget !== undefined) applyRetryBudget(draft, spec.retryBudget, place('retryBudget'))
    if (spec.circuitBreaker !== undefined) {
      const { failurePercent, minimumRequests, window, openTime } = spec.circuitBreaker
      const breaker = {
        failureShare: failurePercent ?? 0.5,
        minimumRequests: minimumRequests ?? 20,
        windowMs: window ?? 10_000,
        openMs: openTime ?? 5000,
      }
      draft.set('breaker', breaker, place('circuitBreaker'))
    }
    applyOverload(draft, spec, place, 'Outbound')
    if (spec.outlierDetection !== undefined) applyOwnOutlier(draft, spec.outlierDetection, place)
    if (spec.healthCheck !== undefined) {
      const { grpc, http, interval, timeout, healthyThreshold, unhealthyThreshold } = spec.healthCheck
      const check = {
        kind: grpc !== undefined ? ('grpc' as const) : http === undefined ? ('tcp' as const) : ('http' as const),
        path: http?.path ?? '',
        ...(grpc === undefined ? {} : { service: grpc.service ?? '' }),
        intervalMs: interval ?? 5000,
        timeoutMs: timeout ?? 1000,
        healthyThreshold: healthyThreshold ?? 2,
        unhealthyThreshold: unhealthyThreshold ?? 3,
      }
      draft.set('activeCheck', check, place('healthCheck'))
    }
    if (spec.panicThresholdPercent !== undefined) {
      draft.set('panicShare', spec.panicThresholdPercent, place('panicThresholdPercent'))
    }
    if (spec.fallback !== undefined) {
      const { center, direct } = spec.fallback
      draft.set('fallback', { center: center ?? true, direct: direct ?? true }, place('fallback'))
    }
    if (spec.connectionPool?.tcpUserTimeout !== undefined) {
      const tcpUserTimeoutMs = spec.connectionPool.tcpUserTimeout
      draft.setPool({ tcpUserTimeoutMs }, { tcpUserTimeoutMs: place('connectionPool.tcpUserTimeout') })
    }
    if (spec.connectionPool?.maxConnectionAge !== undefined) {
      const maxConnectionAgeMs = spec.connectionPool.maxConnectionAge
      draft.setPool({ maxConnectionAgeMs }, { maxConnectionAgeMs: place('connectionPool.maxConnectionAge') })
    }
    if (spec.proxyProtocol !== undefined) {
      draft.set('proxyProtocol', spec.proxyProtocol.version === 'V2' ? 'v2' : 'v1', place('proxyProtocol'))
    }
  }
}

/** Peak EWMA forgets with a time constant of 10 s unless told otherwise (Finagle's default). */
function ownBalancer(spec: NonNullable<MeshPolicySpec['loadBalancer']>): LoadBalancerSpec {
  if (spec.peakEwma !== undefined) return { kind: 'peak-ewma', decayMs: spec.peakEwma.decayTime ?? 10_000 }
  return { kind: 'least-request', choices: spec.leastRequest?.choices ?? 2 }
}

/** Envoy's defaults for success rate: 5 hosts, 100 requests, 1.9 standard deviations. */
function applyOwnOutlier(
  draft: PolicyDraft,
  spec: NonNullable<MeshPolicySpec['outlierDetection']>,
  place: OriginAt,
): void {
  const { maxEjectionTime, successRate } = spec
  draft.set(
    'outlier',
    {
      ...(draft.policy.outlier ?? defaultOutlier),
      ...(maxEjectionTime === undefined ? {} : { maxEjectionMs: maxEjectionTime }),
      ...(successRate === undefined
        ? {}
        : {
            successRate: {
              minimumHosts: successRate.minimumHosts ?? 5,
              requestVolume: successRate.requestVolume ?? 100,
              stdevFactor: successRate.stdevFactor ?? 1.9,
            },
          }),
    },
    place('outlierDetection'),
  )
  if (maxEjectionTime !== undefined) draft.note('outlier.maxEjectionMs', place('outlierDetection.maxEjectionTime'))
  if (successRate !== undefined) draft.note('outlier.successRate', place('outlierDetection.successRate'))
}
