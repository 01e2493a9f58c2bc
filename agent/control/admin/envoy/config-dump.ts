/** `/config_dump` as Envoy answers it, `envoy.admin.v3.ConfigDump`, in the parts that `istioctl proxy-config` reads. */
import type { EndpointSet } from '../../../../contracts/endpoint.ts'
import type { TrafficPolicySpec } from '../../../../contracts/policy-spec.ts'
import type { ListenerSpec, ServiceSpec, Snapshot } from '../../../../contracts/snapshot.ts'
import { routeConfiguration } from './routes.ts'
import { thresholds } from './statuses.ts'
import { clusterName, seconds, socketAddress, typed } from './words.ts'

const lbPolicies: Readonly<Record<TrafficPolicySpec['loadBalancer']['kind'], string>> = {
  'round-robin': 'ROUND_ROBIN',
  random: 'RANDOM',
  'least-request': 'LEAST_REQUEST',
  'peak-ewma': 'LEAST_REQUEST',
  passthrough: 'CLUSTER_PROVIDED',
  'ring-hash': 'RING_HASH',
  maglev: 'MAGLEV',
}

const overXds = { ads: {}, resource_api_version: 'V3' }

export interface DumpOptions {
  /** As Envoy's `?include_eds`. */
  readonly withEndpoints: boolean
  /** The node of `/server_info`, and where admin listens. */
  readonly node: object
  readonly admin: { readonly host: string; readonly port: number } | undefined
  /** Epoch ms: since when this is what workers have. */
  readonly updatedAt: number
}

export function envoyConfigDump(snapshot: Snapshot, options: DumpOptions): object {
  const version_info = String(snapshot.version)
  const last_updated = new Date(options.updatedAt).toISOString()
  const services = Object.values(snapshot.services)
  const { admin } = options
  return {
    configs: [
      typed('envoy.admin.v3.BootstrapConfigDump', {
        bootstrap: {
          node: options.node,
          ...(admin === undefined ? {} : { admin: { address: socketAddress(admin.host, admin.port) } }),
        },
        last_updated,
      }),
      typed('envoy.admin.v3.ClustersConfigDump', {
        version_info,
        dynamic_active_clusters: services
          .flatMap(clustersOf)
          .map((cluster) => ({ version_info, cluster, last_updated })),
      }),
      ...(options.withEndpoints
        ? [
            typed('envoy.admin.v3.EndpointsConfigDump', {
              dynamic_endpoint_configs: services.map(({ endpoints }) => ({
                endpoint_config: loadAssignment(endpoints),
              })),
            }),
          ]
        : []),
      typed('envoy.admin.v3.ListenersConfigDump', {
        version_info,
        dynamic_listeners: Object.values(snapshot.listeners).map((spec) => ({
          name: spec.name,
          active_state: { version_info, listener: listenerOf(spec), last_updated },
        })),
      }),
      typed('envoy.admin.v3.RoutesConfigDump', {
        dynamic_route_configs: Object.values(snapshot.virtualHosts).map((host) => ({
          version_info,
          route_config: routeConfiguration(host),
          last_updated,
        })),
      }),
    ],
  }
}

function clustersOf(service: ServiceSpec): object[] {
  const subsets = Object.entries(service.subsets).map(([name, { policy }]) => clusterOf(service, name, policy))
  return [clusterOf(service, '', service.policy), ...subsets]
}

function clusterOf({ key }: ServiceSpec, subset: string, { pool, loadBalancer, outlier }: TrafficPolicySpec): object {
  return typed('envoy.config.cluster.v3.Cluster', {
    name: clusterName(key, subset),
    type: 'EDS',
    eds_cluster_config: { eds_config: overXds, service_name: key },
    connect_timeout: seconds(pool.connectTimeoutMs),
    lb_policy: lbPolicies[loadBalancer.kind],
    circuit_breakers: { thresholds: [thresholds(pool)] },
    ...(outlier === undefined
      ? {}
      : {
          outlier_detection: {
            consecutive_5xx: outlier.consecutive5xx,
            interval: seconds(outlier.intervalMs),
            base_ejection_time: seconds(outlier.baseEjectionMs),
            max_ejection_percent: Math.round(outlier.maxEjectionShare * 100),
          },
        }),
  })
}

function loadAssignment({ service, endpoints }: EndpointSet): object {
  const byPlace = Map.groupBy(endpoints, ({ locality }) => `${locality.region}/${locality.zone}`)
  return typed('envoy.config.endpoint.v3.ClusterLoadAssignment', {
    cluster_name: service,
    endpoints: [...byPlace.values()].map((inside) => ({
      locality: inside[0]!.locality,
      lb_endpoints: inside.map((one) => ({
        endpoint: { address: socketAddress(one.address, one.port) },
        health_status: one.healthy && one.enabled ? 'HEALTHY' : 'UNHEALTHY',
        load_balancing_weight: Math.max(1, Math.round(one.weight)),
      })),
    })),
  })
}

function listenerOf(spec: ListenerSpec): object {
  const isTcp = 'service' in spec && (spec.protocol === 'tcp' || spec.protocol === 'udp')
  const route = 'virtualHost' in spec ? spec.virtualHost : spec.name
  return typed('envoy.config.listener.v3.Listener', {
    name: spec.name,
    address: socketAddress(spec.address, spec.port),
    filter_chains: [{ filters: [isTcp ? tcpProxy(spec.name, spec.service) : httpManager(spec.name, route)] }],
    traffic_direction: spec.kind === 'inbound' || spec.kind === 'relay' ? 'INBOUND' : 'OUTBOUND',
  })
}

function httpManager(name: string, route_config_name: string): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: name,
      rds: { config_source: overXds, route_config_name },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}),
        },
      ],
    }),
  }
}

function tcpProxy(name: string, service: string): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: name,
      cluster: clusterName(service),
    }),
  }
}
