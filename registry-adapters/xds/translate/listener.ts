/** A listener: which routes, or which clusters of raw TCP, calls of its service take. */
import { serviceOf, type Place } from '../names.ts'
import type { Faults } from '../wire/faults.ts'
import {
  httpManagerShape,
  listenerShape,
  tcpProxyShape,
  type FilterChainMessage,
  type ListenerMessage,
} from '../wire/listener.ts'
import { type Packed, readMessage } from '../wire/shape.ts'
import { readRouteConfig, type VirtualHost } from './route-config.ts'

export interface Listener {
  readonly name: string
  /** Names of route configurations. */
  readonly routes: readonly string[]
  /** Those that it holds itself. */
  readonly virtualHosts: readonly VirtualHost[]
  /** `route` of a `tcp` entry in a VirtualService. */
  readonly tcp: readonly object[] | undefined
}

/** Value of `TrafficDirection`. */
const inbound = 1
const httpManager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
const tcpProxy = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'
/** Filters that count or look, or do nothing unless a route asks for it, which is refused there. */
const harmlessFilters: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.router.v3.Router',
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  'envoy.extensions.filters.http.cors.v3.Cors',
  'stats.PluginConfig',
])

interface Found {
  routes: string[]
  virtualHosts: VirtualHost[]
  tcp: object[] | undefined
}

/** Throws RangeError for what is no listener. */
export function readListener(bytes: Buffer, place: Place, faults: Faults): Listener {
  const message = readMessage(listenerShape, bytes, '', faults)
  const { name = '' } = message
  const found: Found = { routes: [], virtualHosts: [], tcp: undefined }
  // what comes in to this host is decided here alone
  if (message.traffic_direction !== inbound) readChains(message, found, place, faults)
  return { name, ...found }
}

function readChains(message: ListenerMessage, found: Found, place: Place, faults: Faults): void {
  const api = message.api_listener?.api_listener
  if (api !== undefined) readFilter(api, 'api_listener.api_listener', found, place, faults)
  const chains: (readonly [FilterChainMessage, string])[] = (message.filter_chains ?? []).map(
    (chain, at) => [chain, `filter_chains[${at}]`] as const,
  )
  if (message.default_filter_chain !== undefined) chains.push([message.default_filter_chain, 'default_filter_chain'])
  for (const [chain, path] of chains)
    chain.filters?.forEach(({ typed_config: held }, at) => {
      const where = `${path}.filters[${at}].typed_config`
      if (held === undefined) faults.add(where, 'found nothing')
      else readFilter(held, where, found, place, faults)
    })
}

function readFilter({ type, value }: Packed, path: string, found: Found, place: Place, faults: Faults): void {
  if (type === httpManager) readHttp(value, path, found, place, faults)
  else if (type === tcpProxy) readTcp(value, path, found, place, faults)
  else faults.add(path, `found ${type.slice(0, 200)}, allowed HttpConnectionManager and TcpProxy`)
}

function readHttp(value: Buffer, path: string, found: Found, place: Place, faults: Faults): void {
  const manager = readMessage(httpManagerShape, value, path, faults)
  manager.http_filters?.forEach((filter, at) => {
    const type = filter.typed_config?.type ?? ''
    if (!harmlessFilters.has(type) && filter.is_optional !== true && filter.disabled !== true)
      faults.add(`${path}.http_filters[${at}]`, `${filter.name ?? ''} (${type.slice(0, 200)}) is not supported`)
  })
  if (manager.rds !== undefined) found.routes.push(manager.rds.route_config_name ?? '')
  else if (manager.route_config !== undefined)
    found.virtualHosts.push(...readRouteConfig(manager.route_config, `${path}.route_config.`, place, faults))
}

function readTcp(value: Buffer, path: string, found: Found, place: Place, faults: Faults): void {
  const { cluster = '', weighted_clusters: weighted } = readMessage(tcpProxyShape, value, path, faults)
  const shares = weighted?.clusters ?? [{ name: cluster, weight: 1 }]
  found.tcp = shares.map(({ name = '', weight = 0 }, at) => {
    const host = serviceOf(name, place)
    const where = weighted === undefined ? `${path}.cluster` : `${path}.weighted_clusters.clusters[${at}].name`
    if (host === undefined) faults.add(where, `found "${name.slice(0, 100)}", which no service here can be called`)
    return { destination: { host: host ?? '' }, weight }
  })
}
