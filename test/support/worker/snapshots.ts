/** Snapshots for worker tests: services with given endpoints and policies, each on a listener of its own. */
import { endpointAt, serviceKey } from '../../../contracts/endpoint.ts'
import type { Endpoint, ServiceKey } from '../../../contracts/endpoint.ts'
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { HttpRouteSpec, TcpRouteSpec } from '../../../contracts/route-spec.ts'
import type { AppProtocol, RpcProtocol } from '../../../contracts/protocols.ts'
import { defaultLimits, snapshotFormat } from '../../../contracts/snapshot.ts'
import type { HalfClosed, LimitsSpec, ListenerSpec, MeshSpec, Snapshot } from '../../../contracts/snapshot.ts'

export interface ServicePlan {
  readonly name: string
  readonly protocol?: AppProtocol
  readonly endpoints: readonly {
    readonly address: string
    readonly port: number
    readonly metadata?: Readonly<Record<string, string>>
  }[]
  readonly policy?: Partial<TrafficPolicySpec>
  /** Changes of the one route that forwards everything to the service. */
  readonly route?: Partial<HttpRouteSpec>
  /** The same for raw connections. */
  readonly tcpRoute?: Partial<TcpRouteSpec>
}

export interface SnapshotPlan {
  readonly services: readonly ServicePlan[]
  readonly limits?: Partial<LimitsSpec>
  readonly mesh?: Partial<MeshSpec>
  /** Address and port of the service listeners, by service name; port 0 is not for snapshots. */
  readonly listen: Readonly<Record<string, { readonly address: string; readonly port: number }>>
  /** The shared HTTP port, if any. */
  readonly shared?: { readonly address: string; readonly port: number; readonly tunnels?: true }
  /** Shared ports of private RPC by protocol; the listener is called as the protocol. */
  readonly rpc?: Readonly<Record<string, { readonly address: string; readonly port: number }>>
  readonly version?: number
  /** What callers are that close their side; absent = `gone`. */
  readonly halfClosed?: HalfClosed
}

export function keyOf(name: string): ServiceKey {
  return serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name })
}

export function snapshotOf(plan: SnapshotPlan): Snapshot {
  const services: Record<ServiceKey, Snapshot['services'][ServiceKey]> = {}
  const virtualHosts: Record<string, Snapshot['virtualHosts'][string]> = {}
  const listeners: Record<string, ListenerSpec> = {}
  const names: Record<string, string> = {}
  const halfClosed = plan.halfClosed === undefined ? {} : { halfClosed: plan.halfClosed }
  for (const service of plan.services) {
    const key = keyOf(service.name)
    const policy = { ...defaultTrafficPolicy, ...service.policy }
    const protocol = service.protocol ?? 'http'
    services[key] = {
      key,
      protocol,
      policy,
      subsets: {},
      portPolicies: {},
      endpoints: {
        service: key,
        version: 1,
        endpoints: service.endpoints.map(({ address, port, metadata = {} }) => ({
          ...endpointOf(address, port),
          metadata,
        })),
        protectThreshold: 0,
        registry: 'test',
        confirmedAt: Date.now(),
      },
    }
    virtualHosts[key] = {
      name: key,
      domains: [service.name],
      http: [{ ...forwardRoute(key), ...service.route }],
      tcp: [{ ...tcpRoute(key), ...service.tcpRoute }],
    }
    names[service.name] = key
    const at = plan.listen[service.name]
    if (at !== undefined) {
      const name = `service:${service.name}`
      listeners[name] = {
        name,
        ...at,
        proxyProtocol: 'off',
        kind: 'service',
        protocol,
        service: key,
        virtualHost: key,
        ...halfClosed,
      }
    }
  }
  if (plan.shared !== undefined) {
    listeners['shared'] = { name: 'shared', ...plan.shared, proxyProtocol: 'off', kind: 'shared-http', ...halfClosed }
  }
  for (const [name, at] of Object.entries(plan.rpc ?? {})) {
    listeners[name] = { name, ...at, proxyProtocol: 'off', kind: 'shared-rpc', protocol: name as RpcProtocol }
  }
  return {
    format: snapshotFormat,
    version: plan.version ?? 1,
    createdAt: Date.now(),
    node: { host: 'test-host', address: '127.0.0.1', locality: { region: '', zone: '' }, tier: 'agent' },
    mesh: {
      limits: { ...defaultLimits, ...plan.limits },
      accessLog: { format: 'off', path: '-', share: 1 },
      fallbackNetworks: [],
      sourceAppsByUid: {},
      tracing: { createMissing: false, sampledShare: 0 },
      ...plan.mesh,
    },
    listeners,
    virtualHosts,
    services,
    names,
  }
}

export function endpointOf(address: string, port: number): Endpoint {
  return endpointAt(address, port, { cluster: 'DEFAULT' })
}

function forwardRoute(key: ServiceKey): HttpRouteSpec {
  return {
    name: 'default',
    origin: { kind: 'default', name: '', path: '' },
    matches: [],
    action: { kind: 'forward', destinations: [{ service: key, weight: 1 }] },
    timeoutMs: 0,
  }
}

function tcpRoute(key: ServiceKey): TcpRouteSpec {
  return {
    name: 'default',
    origin: { kind: 'default', name: '', path: '' },
    matches: [],
    destinations: [{ service: key, weight: 1 }],
  }
}
