/** Messages that others are made of. Source: envoy api, config/core/v3, type/v3, type/matcher/v3. */
import type { MessageForms } from './message-form.ts'

export const coreMessages: MessageForms = {
  of: 'envoy.config.core.v3',
  messages: {
    Locality: { region: '1 string', zone: '2 string', sub_zone: '3 string' },
    Node: {
      id: '1 string',
      cluster: '2 string',
      metadata: '3 struct',
      locality: '4 Locality',
      user_agent_name: '6 string',
      client_features: '10 [string]',
    },
    Metadata: { filter_metadata: '1 map struct' },
    Address: { socket_address: '1 SocketAddress' },
    SocketAddress: { address: '2 string', port_value: '3 uint32' },
    TcpKeepalive: { keepalive_probes: '1 u32value', keepalive_time: '2 u32value', keepalive_interval: '3 u32value' },
    AggregatedConfigSource: {},
    SelfConfigSource: {},
    ConfigSource: {
      ads: '3 AggregatedConfigSource',
      self: '5 SelfConfigSource',
      initial_fetch_timeout: '4 duration',
      resource_api_version: '6 ApiVersion',
    },
    HeaderValue: { key: '1 string', value: '2 string' },
    HeaderValueOption: { header: '1 HeaderValue', append_action: '3 HeaderAppendAction', keep_empty_value: '4 bool' },
    DataSource: { inline_bytes: '2 bytes', inline_string: '3 string' },
    RuntimeFractionalPercent: { default_value: '1 FractionalPercent' },
    TransportSocket: { name: '1 string', typed_config: '3 any' },
    HttpProtocolOptions: {
      idle_timeout: '1 duration',
      max_connection_duration: '3 duration',
      max_requests_per_connection: '6 u32value',
    },
    Http1ProtocolOptions: {},
    Http2ProtocolOptions: { max_concurrent_streams: '2 u32value' },
    HealthCheck: {
      timeout: '1 duration',
      interval: '2 duration',
      unhealthy_threshold: '4 u32value',
      healthy_threshold: '5 u32value',
      http_health_check: '8 HealthCheck.HttpHealthCheck',
      tcp_health_check: '9 HealthCheck.TcpHealthCheck',
      grpc_health_check: '11 HealthCheck.GrpcHealthCheck',
    },
    'HealthCheck.HttpHealthCheck': { host: '1 string', path: '2 string' },
    'HealthCheck.TcpHealthCheck': {},
    'HealthCheck.GrpcHealthCheck': { service_name: '1 string' },
  },
  enums: {
    ApiVersion: { AUTO: 0, V3: 2 },
    HealthStatus: { UNKNOWN: 0, HEALTHY: 1, UNHEALTHY: 2, DRAINING: 3, TIMEOUT: 4, DEGRADED: 5 },
    HeaderAppendAction: {
      APPEND_IF_EXISTS_OR_ADD: 0,
      ADD_IF_ABSENT: 1,
      OVERWRITE_IF_EXISTS_OR_ADD: 2,
      OVERWRITE_IF_EXISTS: 3,
    },
    TrafficDirection: { UNSPECIFIED: 0, INBOUND: 1, OUTBOUND: 2 },
  },
}

export const typeMessages: MessageForms = {
  of: 'envoy.type.v3',
  messages: {
    Percent: { value: '1 double' },
    FractionalPercent: { numerator: '1 uint32', denominator: '2 DenominatorType' },
  },
  enums: { DenominatorType: { HUNDRED: 0, TEN_THOUSAND: 1, MILLION: 2 } },
}

export const matcherMessages: MessageForms = {
  of: 'envoy.type.matcher.v3',
  messages: {
    RegexMatcher: { regex: '2 string' },
    RegexMatchAndSubstitute: { pattern: '1 RegexMatcher', substitution: '2 string' },
    StringMatcher: {
      exact: '1 string',
      prefix: '2 string',
      suffix: '3 string',
      safe_regex: '5 RegexMatcher',
      contains: '7 string',
      ignore_case: '6 bool',
    },
  },
}
