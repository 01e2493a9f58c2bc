/**
 * Snapshots as control would write them: one service behind one localhost port, with the features on that a mesh has
 * on.
 */
import { endpointAt, serviceKey } from '../contracts/endpoint.ts'
import type { Endpoint, ServiceKey } from '../contracts/endpoint.ts'
import type { AppProtocol } from '../contracts/protocols.ts'
import { defaultTrafficPolicy } from '../contracts/policy-spec.ts'
import type { TrafficPolicySpec } from '../contracts/policy-spec.ts'
import type { FilterSpec, HttpRouteSpec, RuleOrigin, VirtualHostSpec } from '../contracts/route-spec.ts'
import type { UserFilterSpec } from '../contracts/user-filter-spec.ts'
import { defaultLimits, snapshotFormat } from '../contracts/snapshot.ts'
import type { AccessLogSpec, ServiceSpec, Snapshot } from '../contracts/snapshot.ts'

export interface MeshTraits {
  readonly protocol: AppProtocol
  readonly port: number
  readonly originPort: number
  /** Routes before the one that matches; each looks at the path. */
  readonly extraRoutes?: number
  readonly accessLog?: AccessLogSpec
  readonly traces?: boolean
  /** Of the route that matches. */
  readonly filters?: readonly FilterSpec[]
  readonly userFilters?: readonly UserFilterSpec[]
}

export const benchService: ServiceKey = serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'bench' })

/** Round robin, breaker, outlier detection, limits, retry budget: what Envoy gets too (`peers/envoy.ts`). */
const benchPolicy: TrafficPolicySpec = {
  ...defaultTrafficPolicy,
  loadBalancer: { kind: 'round-robin' },
  pool: { ...defaultTrafficPolicy.pool, maxConnections: 20_000, maxPending: 20_000, maxRequests: 20_000 },
  breaker: { failureShare: 0.5, minimumRequests: 100, windowMs: 10_000, openMs: 5000 },
  outlier: {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 5,
    consecutiveLocalFailures: 5,
    splitLocalErrors: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionShare: 0.1,
    minHealthShare: 0,
  },
}

export function benchEndpoint(address: string, port: number): Endpoint {
  const locality = { region: 'here', zone: 'here-1' }
  return endpointAt(address, port, { cluster: 'DEFAULT', locality, version: 'v1', metadata: { version: 'v1' } })
}

export function serviceSpec(key: ServiceKey, protocol: AppProtocol, endpoints: readonly Endpoint[]): ServiceSpec {
  return {
    key,
    protocol,
    policy: benchPolicy,
    subsets: {},
    portPolicies: {},
    endpoints: { service: key, version: 1, endpoints, protectThreshold: 0, registry: 'bench', confirmedAt: Date.now() },
  }
}

const origin: RuleOrigin = { kind: 'VirtualService', name: 'public/bench', path: 'spec.http[0]' }

export function virtualHost(
  key: ServiceKey,
  protocol: AppProtocol,
  extraRoutes = 0,
  filters: readonly FilterSpec[] = [],
): VirtualHostSpec {
  const action: HttpRouteSpec['action'] = { kind: 'forward', destinations: [{ service: key, weight: 1 }] }
  const common = {
    origin,
    action,
    timeoutMs: 300_000,
    retry: {
      attempts: 2,
      perTryTimeoutMs: 0,
      on: ['connect-failure', 'refused-stream', 'reset'] as const,
      statuses: [],
      backoffMs: 25,
    },
  }
  const extra = Array.from({ length: extraRoutes }, (_value, index): HttpRouteSpec => {
    return { ...common, name: `route ${index}`, matches: [{ uri: { prefix: `/area-${index}/` } }] }
  })
  const isRaw = protocol === 'tcp' || protocol === 'udp'
  return {
    name: key,
    domains: ['bench'],
    http: !isRaw ? [...extra, { ...common, name: 'default', matches: [], filters }] : [],
    tcp: isRaw ? [{ name: 'default', origin, matches: [], destinations: action.destinations }] : [],
  }
}

export function meshSnapshot(traits: MeshTraits): Snapshot {
  const { protocol, port, originPort } = traits
  return {
    format: snapshotFormat,
    version: 1,
    createdAt: Date.now(),
    node: { host: 'bench', address: '127.0.0.1', locality: { region: 'here', zone: 'here-1' }, tier: 'agent' },
    mesh: {
      limits: defaultLimits,
      accessLog: traits.accessLog ?? { format: 'off', path: '-', share: 0 },
      fallbackNetworks: [],
      sourceAppsByUid: {},
      ...(traits.userFilters === undefined ? {} : { userFilters: traits.userFilters }),
      tracing: { createMissing: traits.traces ?? false, sampledShare: traits.traces === true ? 0.01 : 0 },
    },
    listeners: {
      bench: {
        name: 'bench',
        address: '127.0.0.1',
        port,
        proxyProtocol: 'off',
        kind: 'service',
        protocol,
        service: benchService,
        virtualHost: benchService,
      },
    },
    virtualHosts: { [benchService]: virtualHost(benchService, protocol, traits.extraRoutes, traits.filters) },
    services: { [benchService]: serviceSpec(benchService, protocol, [endpointAt('127.0.0.1', originPort)]) },
    names: {},
  }
}
