/** What is read of route configurations. Source: envoy api, config/route/v3. */
import {
  bytes,
  duration,
  flag,
  list,
  nested,
  present,
  shape,
  text,
  whole,
  wholes,
  wrapped,
  wrappedFlag,
} from './shape.ts'

const regex = shape({ regex: [2, text] }, 'google_re2=1')
const stringMatcher = shape(
  {
    exact: [1, text],
    prefix: [2, text],
    suffix: [3, text],
    safe_regex: [5, nested(regex)],
    ignore_case: [6, flag],
    contains: [7, text],
  },
  '',
  'custom=8',
)
const headerMatcher = shape(
  {
    name: [1, text],
    exact_match: [4, text],
    present_match: [7, flag],
    invert_match: [8, flag],
    prefix_match: [9, text],
    suffix_match: [10, text],
    safe_regex_match: [11, nested(regex)],
    contains_match: [12, text],
    string_match: [13, nested(stringMatcher)],
  },
  '',
  'range_match=6 treat_missing_header_as_empty=14',
)
const queryMatcher = shape({ name: [1, text], string_match: [5, nested(stringMatcher)], present_match: [6, flag] })
const routeMatch = shape(
  {
    prefix: [1, text],
    path: [2, text],
    case_sensitive: [4, wrappedFlag],
    headers: [6, list(nested(headerMatcher))],
    query_parameters: [7, list(nested(queryMatcher))],
    grpc: [8, present],
    safe_regex: [10, nested(regex)],
    path_separated_prefix: [14, text],
  },
  '',
  'runtime_fraction=9 tls_context=11 connect_matcher=12 dynamic_metadata=13 path_match_policy=15 filter_state=16',
)

const headerOption = shape(
  {
    header: [1, nested(shape({ key: [1, text], value: [2, text] }, '', 'raw_value=3'))],
    append: [2, wrappedFlag],
    append_action: [3, whole],
  },
  'keep_empty_value=4',
)
const headers = list(nested(headerOption))
const names = list(text)

const retryPolicy = shape(
  {
    retry_on: [1, text],
    num_retries: [2, wrapped],
    per_try_timeout: [3, duration],
    retriable_status_codes: [7, wholes],
    retry_back_off: [8, nested(shape({ base_interval: [1, duration] }, 'max_interval=2'))],
  },
  'retry_host_predicate=5 host_selection_retry_max_attempts=6',
  'retry_priority=4 retriable_headers=9 retriable_request_headers=10 rate_limited_retry_back_off=11 retry_options_predicates=12 per_try_idle_timeout=13',
)
const fraction = shape(
  { default_value: [1, nested(shape({ numerator: [1, whole], denominator: [2, whole] }))] },
  'runtime_key=2',
)
const mirror = shape(
  { cluster: [1, text], runtime_fraction: [3, nested(fraction)] },
  'trace_sampled=4 disable_shadow_host_suffix_append=6',
  'cluster_header=5 request_headers_mutations=7 host_rewrite_literal=8',
)
const weighted = shape(
  {
    clusters: [
      1,
      list(
        nested(
          shape(
            {
              name: [1, text],
              weight: [2, wrapped],
              request_headers_to_add: [4, headers],
              response_headers_to_add: [5, headers],
              response_headers_to_remove: [6, names],
              request_headers_to_remove: [9, names],
            },
            '',
            'metadata_match=3 typed_per_filter_config=10 cluster_header=12',
          ),
        ),
      ),
    ],
  },
  'runtime_key_prefix=2 total_weight=3',
  'header_name=4 use_hash_policy=5',
)
const rewrite = shape({ pattern: [1, nested(regex)], substitution: [2, text] })

const routeAction = shape(
  {
    cluster: [1, text],
    weighted_clusters: [3, nested(weighted)],
    prefix_rewrite: [5, text],
    host_rewrite_literal: [6, text],
    timeout: [8, duration],
    retry_policy: [9, nested(retryPolicy)],
    request_mirror_policies: [30, list(nested(mirror))],
    regex_rewrite: [32, nested(rewrite)],
  },
  // hash_policy: clusters that would follow it are refused
  'hash_policy=15 cluster_not_found_response_code=20 upgrade_configs=25 early_data_policy=40',
  'cluster_header=2 metadata_match=4 auto_host_rewrite=7 priority=11 rate_limits=13 include_vh_rate_limits=14 cors=17 max_grpc_timeout=23 idle_timeout=24 internal_redirect_action=26 hedge_policy=27 grpc_timeout_offset=28 host_rewrite_header=29 max_internal_redirects=31 retry_policy_typed_config=33 internal_redirect_policy=34 host_rewrite_path_regex=35 max_stream_duration=36 cluster_specifier_plugin=37 append_x_forwarded_host=38 inline_cluster_specifier_plugin=39 path_rewrite_policy=41 flush_timeout=42',
)
const redirect = shape(
  {
    host_redirect: [1, text],
    path_redirect: [2, text],
    response_code: [3, whole],
    https_redirect: [4, flag],
    scheme_redirect: [7, text],
    port_redirect: [8, whole],
  },
  '',
  'prefix_rewrite=5 strip_query=6 regex_rewrite=9',
)
const directResponse = shape({
  status: [1, whole],
  body: [
    2,
    nested(
      shape(
        { inline_bytes: [2, bytes], inline_string: [3, text] },
        '',
        'filename=1 environment_variable=4 watched_directory=5',
      ),
    ),
  ],
})
const route = shape(
  {
    match: [1, nested(routeMatch)],
    route: [2, nested(routeAction)],
    redirect: [3, nested(redirect)],
    direct_response: [7, nested(directResponse)],
    request_headers_to_add: [9, headers],
    response_headers_to_add: [10, headers],
    response_headers_to_remove: [11, names],
    request_headers_to_remove: [12, names],
    name: [14, text],
  },
  'metadata=4 decorator=5 tracing=15 per_request_buffer_limit_bytes=16 stat_prefix=19 request_body_buffer_limit=20',
  'typed_per_filter_config=13 filter_action=17 non_forwarding_action=18',
)
const virtualHost = shape(
  {
    name: [1, text],
    domains: [2, names],
    routes: [3, list(nested(route))],
    request_headers_to_add: [7, headers],
    response_headers_to_add: [10, headers],
    response_headers_to_remove: [11, names],
    request_headers_to_remove: [13, names],
    retry_policy: [16, nested(retryPolicy)],
  },
  'virtual_clusters=5 include_request_attempt_count=14 per_request_buffer_limit_bytes=18 include_attempt_count_in_response=19 include_is_timeout_retry_header=23 metadata=24 request_body_buffer_limit=25',
  'require_tls=4 rate_limits=6 cors=8 typed_per_filter_config=15 hedge_policy=17 retry_policy_typed_config=20 matcher=21 request_mirror_policies=22',
)
export const routeConfigShape = shape(
  {
    name: [1, text],
    virtual_hosts: [2, list(nested(virtualHost))],
    response_headers_to_add: [4, headers],
    response_headers_to_remove: [5, names],
    request_headers_to_add: [6, headers],
    request_headers_to_remove: [8, names],
  },
  'internal_only_headers=3 validate_clusters=7 max_direct_response_body_size_bytes=11 ignore_port_in_host_matching=14 metadata=17',
  'vhds=9 most_specific_header_mutations_wins=10 cluster_specifier_plugins=12 request_mirror_policies=13 ignore_path_parameters_in_path_matching=15 typed_per_filter_config=16',
)

type Message<S extends { readonly type?: unknown }> = NonNullable<S['type']>
export type StringMatcherMessage = Message<typeof stringMatcher>
export type HeaderMatcherMessage = Message<typeof headerMatcher>
export type RouteMatchMessage = Message<typeof routeMatch>
export type HeaderOptionMessage = Message<typeof headerOption>
export type RetryPolicyMessage = Message<typeof retryPolicy>
export type RouteActionMessage = Message<typeof routeAction>
export type RedirectMessage = Message<typeof redirect>
export type DirectResponseMessage = Message<typeof directResponse>
export type RouteMessage = Message<typeof route>
export type VirtualHostMessage = Message<typeof virtualHost>
export type RouteConfigMessage = Message<typeof routeConfigShape>
