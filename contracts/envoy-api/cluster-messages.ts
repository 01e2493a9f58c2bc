/** CDS. Source: envoy api, config/cluster/v3, extensions/upstreams/http/v3, extensions/transport_sockets/tls/v3. */
import type { MessageForms } from './message-form.ts'

export const clusterMessages: MessageForms = {
  of: 'envoy.config.cluster.v3',
  messages: {
    Cluster: {
      name: '1 string',
      type: '2 DiscoveryType',
      eds_cluster_config: '3 Cluster.EdsClusterConfig',
      connect_timeout: '4 duration',
      lb_policy: '6 LbPolicy',
      health_checks: '8 [HealthCheck]',
      circuit_breakers: '10 CircuitBreakers',
      http2_protocol_options: '14 Http2ProtocolOptions',
      outlier_detection: '19 OutlierDetection',
      lb_subset_config: '22 Cluster.LbSubsetConfig',
      ring_hash_lb_config: '23 Cluster.RingHashLbConfig',
      transport_socket: '24 TransportSocket',
      metadata: '25 Metadata',
      common_lb_config: '27 Cluster.CommonLbConfig',
      upstream_connection_options: '30 UpstreamConnectionOptions',
      load_assignment: '33 ClusterLoadAssignment',
      typed_extension_protocol_options: '36 map any',
      least_request_lb_config: '37 Cluster.LeastRequestLbConfig',
      cluster_type: '38 Cluster.CustomClusterType',
      maglev_lb_config: '52 Cluster.MaglevLbConfig',
      round_robin_lb_config: '56 Cluster.RoundRobinLbConfig',
    },
    'Cluster.EdsClusterConfig': { eds_config: '1 ConfigSource', service_name: '2 string' },
    'Cluster.CustomClusterType': { name: '1 string', typed_config: '2 any' },
    'Cluster.LbSubsetConfig': {},
    'Cluster.SlowStartConfig': { slow_start_window: '1 duration' },
    'Cluster.RoundRobinLbConfig': { slow_start_config: '1 Cluster.SlowStartConfig' },
    'Cluster.LeastRequestLbConfig': { choice_count: '1 u32value', slow_start_config: '3 Cluster.SlowStartConfig' },
    'Cluster.RingHashLbConfig': {
      minimum_ring_size: '1 u64value',
      hash_function: '3 HashFunction',
      maximum_ring_size: '4 u64value',
    },
    'Cluster.MaglevLbConfig': { table_size: '1 u64value' },
    'Cluster.CommonLbConfig': { healthy_panic_threshold: '1 Percent' },
    UpstreamConnectionOptions: { tcp_keepalive: '1 TcpKeepalive' },
    CircuitBreakers: { thresholds: '1 [CircuitBreakers.Thresholds]' },
    'CircuitBreakers.Thresholds': {
      priority: '1 RoutingPriority',
      max_connections: '2 u32value',
      max_pending_requests: '3 u32value',
      max_requests: '4 u32value',
      max_retries: '5 u32value',
      retry_budget: '8 CircuitBreakers.Thresholds.RetryBudget',
    },
    'CircuitBreakers.Thresholds.RetryBudget': { budget_percent: '1 Percent', min_retry_concurrency: '2 u32value' },
    OutlierDetection: {
      consecutive_5xx: '1 u32value',
      interval: '2 duration',
      base_ejection_time: '3 duration',
      max_ejection_percent: '4 u32value',
      enforcing_consecutive_5xx: '5 u32value',
      enforcing_success_rate: '6 u32value',
      success_rate_minimum_hosts: '7 u32value',
      success_rate_request_volume: '8 u32value',
      success_rate_stdev_factor: '9 u32value',
      consecutive_gateway_failure: '10 u32value',
      enforcing_consecutive_gateway_failure: '11 u32value',
      split_external_local_origin_errors: '12 bool',
      consecutive_local_origin_failure: '13 u32value',
      enforcing_consecutive_local_origin_failure: '14 u32value',
      failure_percentage_threshold: '16 u32value',
      enforcing_failure_percentage: '17 u32value',
      failure_percentage_minimum_hosts: '19 u32value',
      failure_percentage_request_volume: '20 u32value',
      max_ejection_time: '21 duration',
    },
  },
  enums: {
    DiscoveryType: { STATIC: 0, STRICT_DNS: 1, LOGICAL_DNS: 2, EDS: 3, ORIGINAL_DST: 4 },
    LbPolicy: {
      ROUND_ROBIN: 0,
      LEAST_REQUEST: 1,
      RING_HASH: 2,
      RANDOM: 3,
      MAGLEV: 5,
      CLUSTER_PROVIDED: 6,
      LOAD_BALANCING_POLICY_CONFIG: 7,
    },
    HashFunction: { XX_HASH: 0, MURMUR_HASH_2: 1 },
    RoutingPriority: { DEFAULT: 0, HIGH: 1 },
  },
}

export const upstreamHttpMessages: MessageForms = {
  of: 'envoy.extensions.upstreams.http.v3',
  messages: {
    HttpProtocolOptions: {
      common_http_protocol_options: '1 .envoy.config.core.v3.HttpProtocolOptions',
      explicit_http_config: '3 HttpProtocolOptions.ExplicitHttpConfig',
    },
    'HttpProtocolOptions.ExplicitHttpConfig': {
      http_protocol_options: '1 Http1ProtocolOptions',
      http2_protocol_options: '2 Http2ProtocolOptions',
    },
  },
}

export const tlsMessages: MessageForms = {
  of: 'envoy.extensions.transport_sockets.tls.v3',
  messages: {
    UpstreamTlsContext: { common_tls_context: '1 CommonTlsContext', sni: '2 string' },
    CommonTlsContext: {},
  },
}
