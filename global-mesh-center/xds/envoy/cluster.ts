/**
 * CDS: the policy of a destination as a cluster, whose endpoints come by EDS. Clients of gRPC get the fields that they
 * read (gRPC proposals A27, A42, A50) and no others.
 */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { endpointProtocol, type AppProtocol } from '../../../contracts/protocols.ts'
import { adsSource } from './ads-source.ts'
import { clusterName, type ClusterRef } from './cluster-name.ts'
import { loadBalancer } from './load-balancer.ts'
import { transportOf } from './mutual-tls.ts'
import { outlierDetection } from './outlier-detection.ts'
import { given, LeftOut, type Translation } from './translation.ts'

export const clusterMessage = 'envoy.config.cluster.v3.Cluster'

export interface ClusterView {
  readonly ref: ClusterRef
  readonly policy: TrafficPolicySpec
  readonly protocol: AppProtocol
  /** Names instead of addresses, which the client resolves itself; they stand in the cluster. */
  readonly byName?: Plain | undefined
  /** The proxy has an identity of the mesh: it calls in mutual TLS. */
  readonly isMeshed: boolean
}

const spoken: ReadonlySet<AppProtocol> = new Set(['http', 'http2', 'grpc'])

/** Why the destination gets no requests at all; undefined = it may. Plain is not what a rule about TLS says. */
export function uncallable({ ref, policy: { tls }, protocol, byName, isMeshed }: ClusterView): string | undefined {
  const isSaid = tls === undefined || tls.mode === 'disable' || (tls.mode === 'mutual' && isMeshed)
  if (!isSaid) return `tls ${tls.mode}: the destination gets no requests`
  if (!spoken.has(protocol)) return `protocol ${protocol}: the destination gets no requests`
  return byName !== undefined && ref.flavour === 'grpc' ? 'endpoints by name: clients of gRPC get none' : undefined
}

export function cluster(view: ClusterView): Translation {
  const { ref, policy, protocol, byName, isMeshed } = view
  const leftOut = new LeftOut()
  const name = clusterName(ref)
  const why = uncallable(view)
  if (why !== undefined) leftOut.add(why)
  const byDiscovery = { type: 'EDS', eds_cluster_config: { eds_config: adsSource } }
  if (ref.flavour === 'grpc') {
    // it takes clusters of EDS alone: one that must not be called has no endpoints there
    const message = given({
      name,
      ...byDiscovery,
      ...loadBalancer(policy, 'grpc', leftOut),
      outlier_detection: outlierDetection(policy, leftOut),
      circuit_breakers: { thresholds: [{ max_requests: policy.pool.maxRequests }] },
    })
    return { message, leftOut: leftOut.list() }
  }
  const none = { type: 'STATIC', load_assignment: { cluster_name: name, endpoints: [] } }
  const named = byName === undefined ? byDiscovery : { type: 'STRICT_DNS', load_assignment: byName }
  const message = given({
    name,
    ...(why === undefined ? named : none),
    connect_timeout: policy.pool.connectTimeoutMs,
    ...loadBalancer(policy, 'outbound', leftOut),
    common_lb_config: { healthy_panic_threshold: { value: policy.panicShare * 100 } },
    circuit_breakers: { thresholds: [thresholds(policy)] },
    outlier_detection: outlierDetection(policy, leftOut),
    health_checks: healthChecks(policy),
    upstream_connection_options: keepalive(policy),
    ...transportOf(policy.tls, isMeshed, isHttp2(policy, protocol)),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': httpOptions(policy, protocol),
    },
  })
  unsaid(policy, leftOut)
  return { message, leftOut: leftOut.list() }
}

function thresholds({ pool, retryBudget }: TrafficPolicySpec): Plain {
  return given({
    max_connections: pool.maxConnections,
    max_pending_requests: pool.maxPending,
    max_requests: pool.maxRequests,
    max_retries: retryBudget === undefined ? pool.maxRetries : undefined,
    retry_budget:
      retryBudget === undefined
        ? undefined
        : {
            budget_percent: { value: retryBudget.share * 100 },
            min_retry_concurrency: retryBudget.minimumConcurrency,
          },
  })
}

function isHttp2({ pool }: TrafficPolicySpec, protocol: AppProtocol): boolean {
  return endpointProtocol(protocol, pool.upgradesToHttp2) === 'http2'
}

function httpOptions(policy: TrafficPolicySpec, protocol: AppProtocol): Plain {
  const { pool } = policy
  const streams = pool.maxConcurrentStreams
  const http2 = streams === 0 ? {} : { max_concurrent_streams: streams }
  return {
    '@type': 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    common_http_protocol_options: given({
      idle_timeout: pool.idleTimeoutMs,
      max_connection_duration: pool.maxConnectionAgeMs === 0 ? undefined : pool.maxConnectionAgeMs,
      max_requests_per_connection: pool.maxRequestsPerConnection === 0 ? undefined : pool.maxRequestsPerConnection,
    }),
    explicit_http_config: isHttp2(policy, protocol) ? { http2_protocol_options: http2 } : { http_protocol_options: {} },
  }
}

function keepalive({ pool: { tcpKeepalive } }: TrafficPolicySpec): Plain | undefined {
  if (tcpKeepalive === undefined) return undefined
  const seconds = (ms: number): number => Math.max(1, Math.round(ms / 1000))
  return {
    tcp_keepalive: {
      keepalive_time: seconds(tcpKeepalive.timeMs),
      keepalive_interval: seconds(tcpKeepalive.intervalMs),
      keepalive_probes: tcpKeepalive.probes,
    },
  }
}

function healthChecks({ activeCheck }: TrafficPolicySpec): Plain[] | undefined {
  if (activeCheck === undefined) return undefined
  const { kind, path, service, intervalMs, timeoutMs, healthyThreshold, unhealthyThreshold } = activeCheck
  const how = {
    tcp: { tcp_health_check: {} },
    http: { http_health_check: { path } },
    grpc: { grpc_health_check: given({ service_name: service }) },
  }[kind]
  return [
    {
      timeout: timeoutMs,
      interval: intervalMs,
      unhealthy_threshold: unhealthyThreshold,
      healthy_threshold: healthyThreshold,
      ...how,
    },
  ]
}

function unsaid(policy: TrafficPolicySpec, leftOut: LeftOut): void {
  if (policy.breaker !== undefined) leftOut.add('breaker')
  if (policy.concurrency !== undefined) leftOut.add('concurrency')
  if (policy.admissionControl !== undefined) leftOut.add('admissionControl')
  if (policy.callers !== undefined && policy.callers.length > 0) leftOut.add('limits of callers')
  if (policy.proxyProtocol !== 'off') leftOut.add('proxyProtocol')
  const { distribute, failover } = policy.locality
  if (distribute !== undefined || failover !== undefined) leftOut.add('localityLbSetting: all localities are alike')
}
