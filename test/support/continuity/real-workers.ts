/**
 * A host whose workers are real ones: `orders` on the HTTP port, `ledger` on the TCP port, and `more` HTTP services,
 * all served by `provider`.
 */
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { Snapshot } from '../../../contracts/snapshot.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import type { FarSide } from './far-side.ts'
import { WatchdogHost } from './watchdog-host.ts'
import type { HostOptions } from './watchdog-host.ts'

export function startRealWorkers(
  provider: FarSide,
  options: HostOptions = {},
  more: readonly { readonly name: string; readonly port: number }[] = [],
): Promise<WatchdogHost> {
  return WatchdogHost.start({
    workers: 2,
    ...options,
    snapshot: (host) => realSnapshot(host, provider.port, more),
  })
}

/** The provider shares a processor with those who call. */
const policy = { pool: { ...defaultTrafficPolicy.pool, connectTimeoutMs: 20_000 } }

/** What such a host's workers know, with a provider at `port`. */
export function realSnapshot(
  host: WatchdogHost,
  port: number,
  more: readonly { readonly name: string; readonly port: number }[] = [],
): Snapshot {
  const endpoints = [{ address: '127.0.0.1', port }]
  return snapshotOf({
    services: [
      { name: 'orders', endpoints, policy },
      { name: 'ledger', protocol: 'tcp', endpoints, policy },
      ...more.map(({ name }) => ({ name, endpoints, policy })),
    ],
    listen: {
      orders: { address: '127.0.0.1', port: host.httpPort },
      ledger: { address: '127.0.0.1', port: host.tcpPort },
      ...Object.fromEntries(more.map((one) => [one.name, { address: '127.0.0.1', port: one.port }])),
    },
  })
}
