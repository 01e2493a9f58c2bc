/** The choice among endpoints, as fields of a cluster. The key of a hash stands in the route, there and here. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { HashKeySpec, TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { Flavour } from './cluster-name.ts'
import { given, type LeftOut } from './translation.ts'

/** Larger rings are refused by both kinds of client. */
const maxRingSize = 8_388_608

export function loadBalancer(policy: TrafficPolicySpec, flavour: Flavour, leftOut: LeftOut): Plain {
  const { loadBalancer: wanted, warmupMs } = policy
  const slow = warmupMs === 0 ? undefined : { slow_start_config: { slow_start_window: warmupMs } }
  if (wanted.kind === 'ring-hash') {
    const minimum = Math.min(wanted.minimumRingSize, maxRingSize)
    return { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: minimum } }
  }
  if (flavour === 'grpc') {
    // what no rule asks for is not missed
    const isAsked = Object.keys(policy.origins).some((path) => path.startsWith('loadBalancer'))
    if (wanted.kind !== 'round-robin' && isAsked) leftOut.add(`${wanted.kind}: clients of gRPC take turns`)
    return { lb_policy: 'ROUND_ROBIN' }
  }
  switch (wanted.kind) {
    case 'round-robin':
      return given({ lb_policy: 'ROUND_ROBIN', round_robin_lb_config: slow })
    case 'random':
      return { lb_policy: 'RANDOM' }
    case 'maglev':
      return { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: wanted.tableSize } }
    case 'least-request':
      return leastRequest(Math.max(2, wanted.choices), slow)
    case 'peak-ewma':
    case 'passthrough':
      leftOut.add(`${wanted.kind}: least-request is used`)
      return leastRequest(2, slow)
  }
}

function leastRequest(choices: number, slow: Plain | undefined): Plain {
  return { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { choice_count: choices, ...slow } }
}

/** For the route: by what a hash is made; undefined = the choice needs none. */
export function hashPolicy({ loadBalancer: wanted }: TrafficPolicySpec): Plain[] | undefined {
  return 'key' in wanted ? [hashKey(wanted.key)] : undefined
}

function hashKey(key: HashKeySpec): Plain {
  switch (key.from) {
    case 'header':
      return { header: { header_name: key.name } }
    case 'cookie':
      return { cookie: given({ name: key.name, path: key.path === '' ? undefined : key.path, ttl: key.ttlMs }) }
    case 'source-address':
      return { connection_properties: { source_ip: true } }
    case 'query':
      return { query_parameter: { name: key.name } }
  }
}
