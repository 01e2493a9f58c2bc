/** What is read of clusters and endpoints. Source: envoy api, config/cluster/v3 and config/endpoint/v3. */
import {
  bytes,
  duration,
  entries,
  flag,
  list,
  nested,
  packed,
  present,
  shape,
  text,
  whole,
  wrapped,
  type Kind,
} from './shape.ts'
import { bytesIn, fieldsOf, textOf } from '../../../contracts/envoy-api/protobuf.ts'

/** Where resources come from: our own stream, or nowhere that we go. */
export const configSource = shape(
  { ads: [3, present], self: [5, present] },
  'initial_fetch_timeout=4 resource_api_version=6 authorities=7',
  'path=1 api_config_source=2 path_config_source=8',
)

/** Texts, numbers and flags of a `google.protobuf.Struct`; others are left out. */
const struct: Kind<Map<string, string>> = (value) => {
  const found = new Map<string, string>()
  for (const { field, value: entry } of fieldsOf(bytesIn(value))) {
    if (field !== 1) continue
    let key = ''
    for (const { field: at, value: part } of fieldsOf(bytesIn(entry))) {
      if (at === 1) key = textOf(part)
      else if (at === 2)
        for (const { field: kind, value: held } of fieldsOf(bytesIn(part))) {
          if (kind === 2 && typeof held === 'number') found.set(key, String(held))
          else if (kind === 3) found.set(key, textOf(held))
          else if (kind === 4) found.set(key, held === 1 ? 'true' : 'false')
        }
    }
  }
  return found
}

const metadata = shape({ filter_metadata: [1, entries(struct)] }, 'typed_filter_metadata=2')

const socketAddress = shape(
  { protocol: [1, whole], address: [2, text], port_value: [3, whole] },
  'ipv4_compat=6',
  'named_port=4 resolver_name=5 network_namespace_filepath=7',
)
const address = shape({ socket_address: [1, nested(socketAddress)] }, '', 'pipe=2 envoy_internal_address=3')
const endpoint = shape({ address: [1, nested(address)] }, 'health_check_config=2 hostname=3', 'additional_addresses=4')
export const lbEndpointShape = shape(
  {
    endpoint: [1, nested(endpoint)],
    health_status: [2, whole],
    metadata: [3, nested(metadata)],
    load_balancing_weight: [4, wrapped],
  },
  '',
  'endpoint_name=5',
)
const localityEndpoints = shape(
  {
    locality: [1, nested(shape({ region: [1, text], zone: [2, text] }, 'sub_zone=3'))],
    /** Each is read by itself, and only when it is news. */
    lb_endpoints: [2, list(bytes)],
    priority: [5, whole],
  },
  'load_balancing_weight=3 proximity=6 metadata=9',
  'load_balancer_endpoints=7 leds_cluster_locality_config=8',
)
export const assignmentShape = shape(
  {
    cluster_name: [1, text],
    endpoints: [2, list(nested(localityEndpoints))],
    policy: [
      4,
      nested(
        shape({}, 'overprovisioning_factor=3 endpoint_stale_after=4 weighted_priority_health=6', 'drop_overloads=2'),
      ),
    ],
  },
  '',
  'named_endpoints=5',
)

const thresholds = shape(
  {
    priority: [1, whole],
    max_connections: [2, wrapped],
    max_pending_requests: [3, wrapped],
    max_requests: [4, wrapped],
    max_retries: [5, wrapped],
  },
  'track_remaining=6',
  'max_connection_pools=7 retry_budget=8',
)

const outlierDetection = shape(
  {
    consecutive_5xx: [1, wrapped],
    interval: [2, duration],
    base_ejection_time: [3, duration],
    max_ejection_percent: [4, wrapped],
    enforcing_consecutive_5xx: [5, wrapped],
    enforcing_success_rate: [6, wrapped],
    consecutive_gateway_failure: [10, wrapped],
    enforcing_consecutive_gateway_failure: [11, wrapped],
    split_external_local_origin_errors: [12, flag],
    consecutive_local_origin_failure: [13, wrapped],
  },
  'success_rate_minimum_hosts=7 success_rate_request_volume=8 success_rate_stdev_factor=9 enforcing_local_origin_success_rate=15 failure_percentage_threshold=16 failure_percentage_minimum_hosts=19 failure_percentage_request_volume=20 max_ejection_time=21 max_ejection_time_jitter=22 successful_active_health_check_uneject_host=23 always_eject_one_host=25',
  'enforcing_consecutive_local_origin_failure=14 enforcing_failure_percentage=17 enforcing_failure_percentage_local_origin=18 monitors=24',
)

export const clusterShape = shape(
  {
    name: [1, text],
    type: [2, whole],
    eds_cluster_config: [3, nested(shape({ eds_config: [1, nested(configSource)], service_name: [2, text] }))],
    connect_timeout: [4, duration],
    lb_policy: [6, whole],
    max_requests_per_connection: [9, wrapped],
    circuit_breakers: [10, nested(shape({ thresholds: [1, list(nested(thresholds))] }, '', 'per_host_thresholds=2'))],
    http2_protocol_options: [14, present],
    outlier_detection: [19, nested(outlierDetection)],
    load_assignment: [33, bytes],
    typed_extension_protocol_options: [36, entries(packed)],
  },
  'per_connection_buffer_limit_bytes=5 http_protocol_options=13 dns_refresh_rate=16 dns_lookup_family=17 dns_resolvers=18 cleanup_interval=20 ring_hash_lb_config=23 metadata=25 common_lb_config=27 alt_stat_name=28 common_http_protocol_options=29 upstream_connection_options=30 close_connections_on_host_health_failure=31 ignore_health_on_host_removal=32 original_dst_lb_config=34 least_request_lb_config=37 respect_dns_ttl=39 lrs_server=42 dns_failure_refresh_rate=44 use_tcp_for_dns_lookups=45 track_timeout_budgets=47 track_cluster_stats=49 preconnect_policy=50 maglev_lb_config=52 dns_resolution_config=53 wait_for_warm_on_init=54 typed_dns_resolver_config=55 round_robin_lb_config=56 lrs_report_endpoint_metrics=57 dns_jitter=58',
  'health_checks=8 upstream_bind_config=21 lb_subset_config=22 transport_socket=24 protocol_selection=26 cluster_type=38 filters=40 load_balancing_policy=41 transport_socket_matches=43 upstream_http_protocol_options=46 upstream_config=48 connection_pool_per_downstream_connection=51',
)

const explicitHttp = shape(
  { http2_protocol_options: [2, present] },
  'http_protocol_options=1',
  'http3_protocol_options=3',
)
/** `envoy.extensions.upstreams.http.v3.HttpProtocolOptions` */
export const httpOptions = shape(
  { explicit_http_config: [3, nested(explicitHttp)] },
  'common_http_protocol_options=1 use_downstream_protocol_config=4 header_validation_config=7',
  'upstream_http_protocol_options=2 auto_config=5 http_filters=6 outlier_detection=8',
)

export type ClusterMessage = NonNullable<(typeof clusterShape)['type']>
export type AssignmentMessage = NonNullable<(typeof assignmentShape)['type']>
export type LbEndpointMessage = NonNullable<(typeof lbEndpointShape)['type']>
