/** A cluster: where its endpoints come from, and what a DestinationRule says of it. */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { serviceOf, type Place } from '../names.ts'
import { clusterShape, httpOptions, type ClusterMessage } from '../wire/cluster.ts'
import type { Faults } from '../wire/faults.ts'
import { readMessage } from '../wire/shape.ts'
import { readAssignment } from './assignment.ts'

export interface Cluster {
  readonly name: string
  /** Undefined = none that a caller could name: it stands for the address that a caller had. */
  readonly service: ServiceKey | undefined
  /** By name of the assignment, or as it says itself. */
  readonly from: { readonly eds: string } | { readonly endpoints: readonly Endpoint[] }
  /** `trafficPolicy` of a DestinationRule; undefined = nothing is said. */
  readonly policy: object | undefined
}

/** Values of `DiscoveryType`. */
const types = ['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'] as const
/** Values of `LbPolicy`. */
const balancers: Readonly<Record<number, string>> = { 0: 'ROUND_ROBIN', 1: 'LEAST_REQUEST', 3: 'RANDOM' }
const balancerNames = ['', '', 'RING_HASH', '', '', 'MAGLEV', 'CLUSTER_PROVIDED', 'LOAD_BALANCING_POLICY_CONFIG']
const protocols = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
/** Envoy's own, where nothing is said, ms. */
const connectTimeoutMs = 5000
/** More is no bound. */
const maxCount = 2 ** 31 - 1

/** Throws RangeError for what is no cluster. */
export function readCluster(bytes: Buffer, place: Place, faults: Faults): Cluster {
  const message = readMessage(clusterShape, bytes, '', faults)
  const { name = '', type = 0 } = message
  if (types[type] === 'ORIGINAL_DST') return { name, service: undefined, from: { endpoints: [] }, policy: undefined }
  const service = serviceOf(name, place)
  if (service === undefined) faults.add('name', 'allowed letters, digits and . _ : $ -')
  return { name, service, from: origin(message, faults), policy: policyOf(message, faults) }
}

function origin(message: ClusterMessage, faults: Faults): Cluster['from'] {
  const { name = '', type = 0, eds_cluster_config: eds, load_assignment: own } = message
  if (types[type] === 'EDS') {
    if (eds?.eds_config === undefined) faults.add('eds_cluster_config.eds_config', 'found nothing, allowed ads')
    return { eds: eds?.service_name ?? name }
  }
  if (types[type] !== 'STATIC') faults.add('type', `found ${types[type] ?? type}, allowed EDS and STATIC`)
  else if (own !== undefined) return { endpoints: readAssignment(own, 'load_assignment', faults).endpoints }
  return { endpoints: [] }
}

function policyOf(message: ClusterMessage, faults: Faults): object | undefined {
  const { connect_timeout: connectMs = connectTimeoutMs, lb_policy: balancer = 0 } = message
  const simple = balancers[balancer]
  if (simple === undefined)
    faults.add('lb_policy', `found ${balancerNames[balancer] ?? balancer}, allowed ROUND_ROBIN, LEAST_REQUEST, RANDOM`)
  const limits = message.circuit_breakers?.thresholds?.find(({ priority = 0 }) => priority === 0) ?? {}
  const http = bounded({
    http1MaxPendingRequests: limits.max_pending_requests,
    http2MaxRequests: limits.max_requests,
    maxRetries: limits.max_retries,
    maxRequestsPerConnection: message.max_requests_per_connection,
  })
  const tcp = { connectTimeout: `${connectMs}ms`, ...bounded({ maxConnections: limits.max_connections }) }
  const upgrade = speaksHttp2(message, faults) ? { h2UpgradePolicy: 'UPGRADE' } : {}
  const outlierDetection = outliers(message.outlier_detection, faults)
  return {
    loadBalancer: { simple },
    connectionPool: { tcp, http: { ...http, ...upgrade } },
    ...(outlierDetection === undefined ? {} : { outlierDetection }),
  }
}

function bounded(counts: Readonly<Record<string, number | undefined>>): object {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined && count <= maxCount))
}

function speaksHttp2(
  { http2_protocol_options: old, typed_extension_protocol_options: typed }: ClusterMessage,
  faults: Faults,
): boolean {
  let isHttp2 = old === true
  for (const [key, { value }] of typed ?? []) {
    const path = `typed_extension_protocol_options["${key.slice(0, 100)}"]`
    if (key !== protocols) faults.add(path, 'not supported')
    else isHttp2 = readMessage(httpOptions, value, path, faults).explicit_http_config?.http2_protocol_options === true
  }
  return isHttp2
}

function outliers(found: ClusterMessage['outlier_detection'], faults: Faults): object | undefined {
  if (found === undefined) return undefined
  const enforced = (
    name: 'consecutive_5xx' | 'consecutive_gateway_failure' | 'success_rate',
    otherwise: number,
  ): boolean => {
    const share = found[`enforcing_${name}`] ?? otherwise
    if (share !== 0 && share !== 100)
      faults.add(`outlier_detection.enforcing_${name}`, `found ${share}, allowed 0 and 100`)
    return share === 100
  }
  if (found.enforcing_success_rate !== undefined && enforced('success_rate', 0))
    faults.add('outlier_detection.enforcing_success_rate', 'found 100, allowed 0')
  const ms = (value: number | undefined): string | undefined => (value === undefined ? undefined : `${value}ms`)
  return {
    consecutive5xxErrors: enforced('consecutive_5xx', 100) ? (found.consecutive_5xx ?? 5) : 0,
    consecutiveGatewayErrors: enforced('consecutive_gateway_failure', 0) ? (found.consecutive_gateway_failure ?? 5) : 0,
    interval: ms(found.interval ?? 10_000),
    baseEjectionTime: ms(found.base_ejection_time ?? 30_000),
    maxEjectionPercent: found.max_ejection_percent ?? 10,
    splitExternalLocalOriginErrors: found.split_external_local_origin_errors,
    consecutiveLocalOriginFailures: found.consecutive_local_origin_failure,
  }
}
