import { request } from 'node:http'
import type { ServiceName } from '../../contracts/endpoint.ts'
import { startKubernetesStandIn } from '../support/kubernetes/stand-in.ts'
import type { KubernetesStandIn, StandInObject } from '../support/kubernetes/stand-in.ts'
import { startGate } from '../support/nacos/gate.ts'
import { describeKubernetesFacts } from './kubernetes-facts.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import type { OutsideInstance } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'
import { adapterAt, group } from '../support/kubernetes/adapter.ts'

/** One slice per instance would be unusual; one per port and metadata is what the tests need. */
function sliceOf(service: ServiceName, instance: OutsideInstance): StandInObject {
  const { address, port, weight = 1, metadata = {} } = instance
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service.name}-${address}-${port}`,
      labels: { 'kubernetes.io/service-name': service.name },
      annotations: { 'hostmesh.io/metadata': JSON.stringify({ ...metadata, 'hostmesh.weight': String(weight) }) },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [
      { addresses: [address], conditions: { ready: true }, ...(metadata['zone'] && { zone: metadata['zone'] }) },
    ],
  }
}

function put(cluster: KubernetesStandIn, service: ServiceName, instances: readonly OutsideInstance[]): void {
  cluster.put('services', group, { apiVersion: 'v1', kind: 'Service', metadata: { name: service.name } })
  const own = cluster
    .objects('endpointslices', group)
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === service.name)
  const wanted = instances.map((instance) => sliceOf(service, instance))
  for (const slice of wanted) {
    const known = own.find(({ metadata }) => metadata.name === slice.metadata.name)
    if (known?.metadata.annotations?.['hostmesh.io/metadata'] !== slice.metadata.annotations!['hostmesh.io/metadata'])
      cluster.put('endpointslices', group, slice)
  }
  for (const { metadata } of own)
    if (!wanted.some((slice) => slice.metadata.name === metadata.name))
      cluster.remove('endpointslices', group, metadata.name)
}

function seen(cluster: KubernetesStandIn, service: ServiceName) {
  return cluster.objects('endpointslices', group).flatMap((slice) => {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== service.name) return []
    const [endpoint] = slice['endpoints'] as { addresses: string[]; conditions: { ready: boolean } }[]
    if (endpoint?.conditions.ready !== true) return []
    const [port] = slice['ports'] as { port: number }[]
    const metadata = JSON.parse(slice.metadata.annotations!['hostmesh.io/metadata']!) as Record<string, string>
    return [{ id: `${endpoint.addresses[0]}:${port!.port}`, weight: Number(metadata['hostmesh.weight']), metadata }]
  })
}

describeRegistryAdapter(
  'Kubernetes, stand-in',
  { register: true, config: false, cutOff: true, spoil: true, signsOfLife: true },
  async () => {
    const cluster = await startKubernetesStandIn()
    const gate = await startGate(cluster.port)
    return {
      namespace: 'public',
      createAdapter: () => adapterAt(gate.port),
      put: async (service, instances) => put(cluster, service, instances),
      spoil: async (service) => {
        const slice = structuredClone(
          cluster
            .objects('endpointslices', group)
            .find(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === service.name)!,
        )
        slice['ports'] = 'many'
        cluster.put('endpointslices', group, slice)
      },
      seen: async (service) => seen(cluster, service),
      cutOff: () => gate.shut(),
      comeBack: () => gate.open(),
      close: async () => {
        await gate.close()
        await cluster.stop()
      },
    }
  },
)

describeRegistryFaults('Kubernetes, stand-in', { register: true, deny: true, huge: true }, async () => {
  const cluster = await startKubernetesStandIn()
  const gate = await startGate(cluster.port)
  return {
    namespace: 'public',
    silenceMs: 30_000,
    createAdapter: () => adapterAt(gate.port),
    put: async (service, instances) => put(cluster, service, instances),
    kill: () => cluster.stop(),
    restart: () => cluster.listen(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    deny: async () => {
      cluster.token = 'another'
    },
    allow: async () => {
      cluster.token = undefined
    },
    huge: async (service, bytes) => {
      const note = 'x'.repeat(1024 * 1024)
      for (let index = 0; index * note.length < bytes; index++) {
        const slice = sliceOf(service, { address: `10.3.0.${index}`, port: 80 })
        slice.metadata.annotations!['note'] = note
        cluster.put('endpointslices', group, slice)
      }
    },
    forget: async (service) => put(cluster, service, []),
    seen: async (service) => seen(cluster, service).map(({ id }) => id),
    close: async () => {
      await gate.close()
      await cluster.stop()
    },
  }
})

describeKubernetesFacts('the stand-in', async () => {
  const cluster = await startKubernetesStandIn()
  cluster.token = 'admin'
  return {
    namespace: group,
    open: (method, path, body, contentType = 'application/json', token = 'admin') =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? '' : JSON.stringify(body)
        const headers = {
          authorization: `Bearer ${token}`,
          'content-type': contentType,
          'content-length': Buffer.byteLength(text),
        }
        const outgoing = request(
          { host: '127.0.0.1', port: cluster.port, method, path, headers, agent: false },
          resolve,
        )
        outgoing.on('error', reject)
        outgoing.end(text)
      }),
    forget: async () => cluster.compact(),
    close: () => cluster.stop(),
  }
})
