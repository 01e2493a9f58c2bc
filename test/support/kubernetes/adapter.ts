/** The Kubernetes adapter on the stand-in, with times that suit tests. */
import { createKubernetesAdapter } from '../../../registry-adapters/kubernetes/index.ts'
import type { KubernetesAdapterConfig } from '../../../registry-adapters/kubernetes/index.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { recordedDeps } from '../registry-listener.ts'

/** The Kubernetes namespace of the tests, which is a group of the mesh. */
export const group = 'DEFAULT_GROUP'

export function adapterAt(
  port: number,
  write: KubernetesAdapterConfig['write'] = 'endpoint-slices',
  hasRules = false,
  deps = recordedDeps(),
  namespaces: readonly string[] = [group],
): RegistryAdapter {
  return createKubernetesAdapter(
    {
      name: 'cluster',
      access: { server: { host: '127.0.0.1', port }, tls: () => undefined, token: () => 'agent-token' },
      namespace: 'public',
      namespaces,
      write,
      hasRules,
      maxEndpoints: 10_000,
      watchMs: 8000,
      pulseMs: 500,
    },
    deps,
  )
}
