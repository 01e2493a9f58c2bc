/** LDS: the listener of a proxy, and what a client of gRPC asks for by the name that it calls. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import { adsSource } from './ads-source.ts'
import type { Flavour } from './cluster-name.ts'
import { httpFilters } from './route-filters.ts'

export const listenerMessage = 'envoy.config.listener.v3.Listener'
export const routesMessage = 'envoy.config.route.v3.RouteConfiguration'

/** The one listener of a proxy, and its routes. */
export const outbound = 'outbound'

/** Bodies that rules answer with; Envoy's own bound is 4 KiB. */
const maxDirectBodyBytes = 1024 * 1024

export function outboundListener(address: string, port: number): Plain {
  return {
    name: outbound,
    address: { socket_address: { address, port_value: port } },
    traffic_direction: 'OUTBOUND',
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              ...connectionManager('outbound', outbound),
              // streams may rest for as long as their peers like
              stream_idle_timeout: 0,
              upgrade_configs: [{ upgrade_type: 'websocket' }],
            },
          },
        ],
      },
    ],
  }
}

export function apiListener(target: string): Plain {
  return { name: target, api_listener: { api_listener: connectionManager('grpc', target) } }
}

export function routeConfiguration(name: string, virtualHosts: readonly Buffer[]): Plain {
  return {
    name,
    virtual_hosts: virtualHosts,
    ignore_port_in_host_matching: true,
    max_direct_response_body_size_bytes: maxDirectBodyBytes,
  }
}

function connectionManager(flavour: Flavour, routes: string): Plain {
  return {
    '@type': 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'outbound',
    rds: { config_source: adsSource, route_config_name: routes },
    http_filters: httpFilters[flavour],
  }
}
