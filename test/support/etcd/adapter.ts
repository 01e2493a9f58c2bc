import type { AdapterDeps, RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { createEtcdAdapter } from '../../../registry-adapters/etcd/index.ts'
import { recordedDeps } from '../registry-listener.ts'

type EtcdOptions = Parameters<typeof createEtcdAdapter>[0]

/** Of services below `/services` at an etcd on this machine, without a login or TLS but for what `more` says. */
export function etcdAdapter(
  port: number,
  more: Partial<EtcdOptions> = {},
  deps: AdapterDeps = recordedDeps(),
): RegistryAdapter {
  return createEtcdAdapter(
    {
      name: 'etcd',
      servers: [{ host: '127.0.0.1', port }],
      prefix: '/services',
      namespace: 'public',
      group: 'DEFAULT_GROUP',
      credentials: () => undefined,
      tls: () => undefined,
      leaseMs: 5000,
      maxEndpoints: 10_000,
      pulseMs: 500,
      ...more,
    },
    deps,
  )
}
