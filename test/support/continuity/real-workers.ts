/** A host whose workers are real ones: `orders` on the HTTP port, `ledger` on the TCP port, both served by `provider`. */
import { snapshotOf } from '../worker/snapshots.ts'
import type { FarSide } from './far-side.ts'
import { WatchdogHost } from './watchdog-host.ts'
import type { HostOptions } from './watchdog-host.ts'

export function startRealWorkers(provider: FarSide, options: HostOptions = {}): Promise<WatchdogHost> {
  const endpoints = [{ address: '127.0.0.1', port: provider.port }]
  return WatchdogHost.start({
    workers: 2,
    ...options,
    snapshot: (host) =>
      snapshotOf({
        services: [
          { name: 'orders', endpoints },
          { name: 'ledger', protocol: 'tcp', endpoints },
        ],
        listen: {
          orders: { address: '127.0.0.1', port: host.httpPort },
          ledger: { address: '127.0.0.1', port: host.tcpPort },
        },
      }),
  })
}
