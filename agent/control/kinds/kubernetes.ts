/** Registries of `type: kubernetes`. */
import * as z from 'zod'
import { oneOf, path, plainName, text } from '../config/scalars.ts'
import { clusterAccess } from './cluster-access.ts'
import type { RegistryKind } from './registry-kind.ts'

export const kubernetesSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('kubernetes').describe('The EndpointSlices of a Kubernetes cluster.'),
  kubeconfig: path().optional().describe('kubeconfig file; absent = inside the cluster, with the token of the pod.'),
  context: text(1, 256).optional().describe('Context of the kubeconfig; absent = its current one.'),
  namespaces: z
    .array(text(1, 63))
    .min(1)
    .max(64)
    .prefault(['default'])
    .describe('Kubernetes namespaces that are read. Each is a group; the first one is that of names without one.'),
  namespace: text(1, 128).prefault('public').describe('Namespace that its services have here.'),
  write: oneOf('off', 'endpoint-slices', 'workload-entries')
    .prefault('off')
    .describe(
      "Announce local applications to pods: as EndpointSlices of a Service without selector, or as Istio's WorkloadEntries of a ServiceEntry.",
    ),
  rules: oneOf('off', 'on')
    .prefault('off')
    .describe(
      '`on`: rules of Istio, the Gateway API and ours (`MeshPolicy`) that lie in these Kubernetes namespaces count here.',
    ),
})

type KubernetesSection = z.output<typeof kubernetesSection>

const pulseMs = 10_000
const watchMs = 240_000
/** Eleven kinds each, every one a connection to the API server for as long as the agent runs. */
const maxRuleNamespaces = 12

export const kubernetesKind: RegistryKind<KubernetesSection> = {
  takesRegistrations: ({ write }) => write !== 'off',
  naming: ({ namespace, namespaces }) => ({ namespace, group: namespaces[0]!, cluster: '', groups: namespaces }),
  rulesGroup: () => undefined,
  files: ({ kubeconfig }) =>
    kubeconfig === undefined ? [] : [{ path: ['kubeconfig'], file: kubeconfig, isSecret: true }],
  conflicts: ({ context, kubeconfig, rules, namespaces }) => [
    ...(context !== undefined && kubeconfig === undefined
      ? ['context is a name in a kubeconfig, which is missing']
      : []),
    ...(rules === 'on' && namespaces.length > maxRuleNamespaces
      ? [`rules: on with ${namespaces.length} namespaces, allowed at most ${maxRuleNamespaces}: each kind is a watch`]
      : []),
  ],
  located: (section, absolute) =>
    section.kubeconfig === undefined ? section : { ...section, kubeconfig: absolute(section.kubeconfig) },
  parts: (section) => [{ label: section.kubeconfig ?? 'the cluster of this pod', section }],
  create: async (section, { endpoints }, deps) => {
    const { createKubernetesAdapter } = await import('../../../registry-adapters/kubernetes/index.ts')
    const { name, namespace, namespaces, write, rules } = section
    return createKubernetesAdapter(
      {
        name,
        access: clusterAccess(section),
        namespace,
        namespaces,
        write,
        hasRules: rules === 'on',
        maxEndpoints: endpoints.maxPerService,
        watchMs,
        pulseMs,
      },
      deps,
    )
  },
}
