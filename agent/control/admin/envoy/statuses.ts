/**
 * `/clusters?format=json` and `/listeners?format=json` as Envoy answers them: `envoy.admin.v3.Clusters` and
 * `Listeners`.
 */
import type { ClusterDump, EndpointDump, ListenerDump } from '../../../../contracts/control-link.ts'
import type { ServiceSpec } from '../../../../contracts/snapshot.ts'
import { socketAddress, socketAddressOf } from './words.ts'

/** @param services of the snapshot, for the bounds of a destination. */
export function clusterStatuses(
  clusters: readonly ClusterDump[],
  services: Readonly<Record<string, ServiceSpec | undefined>>,
): object {
  return {
    cluster_statuses: clusters.map((cluster) => {
      const policy = services[cluster.service]?.policy
      return {
        name: cluster.name,
        added_via_api: true,
        host_statuses: cluster.endpoints.map(hostStatus),
        ...(policy === undefined ? {} : { circuit_breakers: { thresholds: [thresholds(policy.pool)] } }),
        observability_name: cluster.name,
        eds_service_name: cluster.service,
      }
    }),
  }
}

export function listenerStatuses(listeners: readonly ListenerDump[]): object {
  return {
    listener_statuses: listeners
      .filter(({ state }) => state === 'listening')
      .map(({ name, address, port }) => ({ name, local_address: socketAddress(address, port) })),
  }
}

export function thresholds(pool: ServiceSpec['policy']['pool']): object {
  return {
    max_connections: pool.maxConnections,
    max_pending_requests: pool.maxPending,
    max_requests: pool.maxRequests,
    max_retries: pool.maxRetries,
  }
}

function hostStatus(one: EndpointDump): object {
  const [region, zone] = one.zone.includes('/') ? one.zone.split('/') : ['', one.zone]
  return {
    address: socketAddressOf(one.endpoint),
    stats: [
      { name: 'rq_error', value: String(one.failures) },
      { name: 'rq_success', value: String(one.requests - one.failures) },
      { name: 'rq_total', value: String(one.requests) },
      { type: 'GAUGE', name: 'cx_active', value: String(one.connections) },
      { type: 'GAUGE', name: 'rq_active', value: String(one.activeRequests) },
    ],
    health_status: {
      eds_health_status: one.state === 'unhealthy' || one.state === 'disabled' ? 'UNHEALTHY' : 'HEALTHY',
      ...(one.state.startsWith('ejected') ? { failed_outlier_check: true } : {}),
      ...(one.state === 'failed active check' ? { failed_active_health_check: true } : {}),
    },
    weight: Math.round(one.weight),
    locality: { region, zone },
  }
}
