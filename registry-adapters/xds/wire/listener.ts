/** What is read of listeners. Source: envoy api, config/listener/v3 and extensions/filters/network. */
import { configSource } from './cluster.ts'
import { flag, list, nested, packed, shape, text, whole } from './shape.ts'
import { routeConfigShape } from './route.ts'

const filter = shape({ name: [1, text], typed_config: [4, packed] }, '', 'config_discovery=5')
const filterChain = shape(
  { filters: [3, list(nested(filter))] },
  'metadata=5 name=7 transport_socket_connect_timeout=9',
  'filter_chain_match=1 use_proxy_proto=4 transport_socket=6',
)
export const listenerShape = shape(
  {
    name: [1, text],
    filter_chains: [3, list(nested(filterChain))],
    traffic_direction: [16, whole],
    api_listener: [19, nested(shape({ api_listener: [1, packed] }))],
    default_filter_chain: [25, nested(filterChain)],
  },
  'address=2 per_connection_buffer_limit_bytes=5 metadata=6 deprecated_v1=7 drain_type=8 freebind=11 tcp_fast_open_queue_length=12 socket_options=13 listener_filters_timeout=15 continue_on_listener_filters_timeout=17 connection_balance_config=20 reuse_port=21 access_log=22 tcp_backlog_size=24 bind_to_port=26 stat_prefix=28 enable_reuse_port=29 enable_mptcp=30 ignore_global_conn_limit=31 additional_addresses=33 max_connections_to_accept_per_socket_event=34 bypass_overload_manager=35',
  'use_original_dst=4 listener_filters=9 transparent=10 udp_listener_config=18 internal_listener=27 filter_chain_matcher=32 fcds_config=36',
)

const httpFilter = shape(
  { name: [1, text], typed_config: [4, packed], is_optional: [6, flag], disabled: [7, flag] },
  '',
  'config_discovery=5',
)
/** How callers are met is the agent's own matter: what says that has no effect. */
export const httpManagerShape = shape(
  {
    rds: [3, nested(shape({ config_source: [1, nested(configSource)], route_config_name: [2, text] }))],
    route_config: [4, nested(routeConfigShape)],
    http_filters: [5, list(nested(httpFilter))],
  },
  'codec_type=1 stat_prefix=2 add_user_agent=6 tracing=7 http_protocol_options=8 http2_protocol_options=9 server_name=10 drain_timeout=12 access_log=13 use_remote_address=14 generate_request_id=15 forward_client_cert_details=16 set_current_client_cert_details=17 proxy_100_continue=18 xff_num_trusted_hops=19 represent_ipv4_remote_address_as_ipv4_mapped_ipv6=20 skip_xff_append=21 via=22 upgrade_configs=23 stream_idle_timeout=24 internal_address_config=25 delayed_close_timeout=26 max_request_headers_kb=29 normalize_path=30 preserve_external_request_id=32 merge_slashes=33 server_header_transformation=34 common_http_protocol_options=35 request_id_extension=36 always_set_request_id_in_response=37 strip_matching_host_port=39 stream_error_on_invalid_http_message=40 request_headers_timeout=41 strip_any_host_port=42 path_normalization_options=43 http3_protocol_options=44 path_with_escaped_slashes_action=45 original_ip_detection_extensions=46 strip_trailing_host_dot=47 scheme_header_transformation=48 proxy_status_config=49 typed_header_validation_config=50 append_x_forwarded_port=51 add_proxy_protocol_connection_state=53 access_log_flush_interval=54 flush_access_log_on_new_request=55 access_log_options=56 append_local_overload=57 http1_safe_max_connection_duration=58 stream_flush_timeout=59',
  'request_timeout=28 scoped_routes=31 local_reply_config=38 early_header_mutation_extensions=52',
)

const weighted = shape({
  clusters: [1, list(nested(shape({ name: [1, text], weight: [2, whole] }, '', 'metadata_match=3')))],
})
export const tcpProxyShape = shape(
  { cluster: [2, text], weighted_clusters: [10, nested(weighted)] },
  'stat_prefix=1 access_log=5 max_connect_attempts=7 access_log_flush_interval=15 flush_access_log_on_connected=16 access_log_options=17 backoff_options=18',
  'downstream_idle_timeout=3 upstream_idle_timeout=4 idle_timeout=8 metadata_match=9 hash_policy=11 tunneling_config=12 max_downstream_connection_duration=13 on_demand=14 proxy_protocol_tlvs=19 max_downstream_connection_duration_jitter_percentage=20',
)

type Message<S extends { readonly type?: unknown }> = NonNullable<S['type']>
export type FilterChainMessage = Message<typeof filterChain>
export type ListenerMessage = Message<typeof listenerShape>
