/** LDS, and the filters of its chains. Source: envoy api, config/listener/v3, extensions/filters. */
import type { MessageForms } from './message-form.ts'

export const listenerMessages: MessageForms = {
  of: 'envoy.config.listener.v3',
  messages: {
    Listener: {
      name: '1 string',
      address: '2 Address',
      filter_chains: '3 [FilterChain]',
      traffic_direction: '16 TrafficDirection',
      api_listener: '19 ApiListener',
      default_filter_chain: '25 FilterChain',
    },
    ApiListener: { api_listener: '1 any' },
    FilterChain: { filters: '3 [Filter]', name: '7 string' },
    Filter: { name: '1 string', typed_config: '4 any' },
  },
}

export const connectionManagerMessages: MessageForms = {
  of: 'envoy.extensions.filters.network.http_connection_manager.v3',
  messages: {
    HttpConnectionManager: {
      codec_type: '1 CodecType',
      stat_prefix: '2 string',
      rds: '3 Rds',
      route_config: '4 RouteConfiguration',
      http_filters: '5 [HttpFilter]',
      common_http_protocol_options: '35 .envoy.config.core.v3.HttpProtocolOptions',
      stream_idle_timeout: '24 duration',
      use_remote_address: '14 boolvalue',
      upgrade_configs: '23 [HttpConnectionManager.UpgradeConfig]',
      normalize_path: '30 boolvalue',
    },
    'HttpConnectionManager.UpgradeConfig': { upgrade_type: '1 string', enabled: '3 boolvalue' },
    Rds: { config_source: '1 ConfigSource', route_config_name: '2 string' },
    HttpFilter: { name: '1 string', typed_config: '4 any', is_optional: '6 bool' },
  },
  enums: { CodecType: { AUTO: 0, HTTP1: 1, HTTP2: 2, HTTP3: 3 } },
}

export const routerMessages: MessageForms = {
  of: 'envoy.extensions.filters.http.router.v3',
  messages: { Router: {} },
}

export const tcpProxyMessages: MessageForms = {
  of: 'envoy.extensions.filters.network.tcp_proxy.v3',
  messages: {
    TcpProxy: {
      stat_prefix: '1 string',
      cluster: '2 string',
      weighted_clusters: '10 TcpProxy.WeightedCluster',
      idle_timeout: '8 duration',
      max_connect_attempts: '7 u32value',
    },
    'TcpProxy.WeightedCluster': { clusters: '1 [TcpProxy.WeightedCluster.ClusterWeight]' },
    'TcpProxy.WeightedCluster.ClusterWeight': { name: '1 string', weight: '2 uint32' },
  },
}

export const faultMessages: MessageForms = {
  of: 'envoy.extensions.filters.http.fault.v3',
  messages: {
    HTTPFault: { delay: '1 FaultDelay', abort: '2 FaultAbort' },
    FaultAbort: { http_status: '2 uint32', grpc_status: '5 uint32', percentage: '3 FractionalPercent' },
  },
}

export const faultDelayMessages: MessageForms = {
  of: 'envoy.extensions.filters.common.fault.v3',
  messages: { FaultDelay: { fixed_delay: '3 duration', percentage: '4 FractionalPercent' } },
}

export const corsMessages: MessageForms = {
  of: 'envoy.extensions.filters.http.cors.v3',
  messages: {
    Cors: {},
    CorsPolicy: {
      allow_origin_string_match: '1 [StringMatcher]',
      allow_methods: '2 string',
      allow_headers: '3 string',
      expose_headers: '4 string',
      max_age: '5 string',
      allow_credentials: '6 boolvalue',
      forward_not_matching_preflights: '10 boolvalue',
    },
  },
}

export const previousHostsMessages: MessageForms = {
  of: 'envoy.extensions.retry.host.previous_hosts.v3',
  messages: { PreviousHostsPredicate: {} },
}
