import { expect } from 'chai'
import { createKubernetesAdapter } from '../../registry-adapters/kubernetes/index.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { startKubernetesStandIn } from '../support/kubernetes/stand-in.ts'
import type { KubernetesStandIn, StandInObject } from '../support/kubernetes/stand-in.ts'
import { startGate } from '../support/nacos/gate.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import type { OutsideInstance } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'

const group = 'DEFAULT_GROUP'

function adapterAt(port: number, isWriting = true): RegistryAdapter {
  return createKubernetesAdapter(
    {
      name: 'cluster',
      access: { server: { host: '127.0.0.1', port }, tls: () => undefined, token: () => 'agent-token' },
      namespace: 'public',
      namespaces: [group],
      isWriting,
      maxEndpoints: 10_000,
      watchMs: 8000,
      pulseMs: 500,
    },
    recordedDeps(),
  )
}

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
    if (!endpoint!.conditions.ready) return []
    const [port] = slice['ports'] as { port: number }[]
    const metadata = JSON.parse(slice.metadata.annotations!['hostmesh.io/metadata']!) as Record<string, string>
    return [{ id: `${endpoint!.addresses[0]}:${port!.port}`, weight: Number(metadata['hostmesh.weight']), metadata }]
  })
}

describeRegistryAdapter(
  'Kubernetes, stand-in',
  { register: true, config: false, cutOff: true, spoil: true },
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

describeRegistryFaults('Kubernetes, stand-in', { register: false, deny: true, huge: true }, async () => {
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
    close: async () => {
      await gate.close()
      await cluster.stop()
    },
  }
})

describe('Kubernetes, what only it has', function () {
  this.timeout(30_000)
  let cluster: KubernetesStandIn
  let adapter: RegistryAdapter | undefined
  beforeEach(async () => {
    cluster = await startKubernetesStandIn()
  })
  afterEach(async () => {
    await adapter?.close()
    await cluster.stop()
  })
  const orders: ServiceName = { namespace: 'public', group, name: 'orders' }
  const slice = (name: string, addresses: readonly string[], conditions: object = { ready: true }): StandInObject => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': 'orders' } },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'grpc', port: 9090, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions, zone: 'bj-1', nodeName: 'node-1' })),
  })

  it('slices of a service are one list, an address in two of them counts once, and a port is chosen by name', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1', '10.0.0.2']))
    cluster.put('endpointslices', group, slice('b', ['10.0.0.2', '10.0.0.3']))
    adapter = adapterAt(cluster.port)
    adapter.start()
    const [plain, grpc] = [recordingListener(), recordingListener()]
    adapter.subscribe(orders, plain)
    adapter.subscribe({ ...orders, name: 'orders:grpc' }, grpc)
    await plain.untilIds(['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'])
    await grpc.untilIds(['10.0.0.1:9090', '10.0.0.2:9090', '10.0.0.3:9090'])
    expect(plain.last?.endpoints[0]?.locality.zone).to.equal('bj-1')
  })

  it('an instance that shuts down and still serves is unhealthy, one that does neither is none', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    cluster.put('endpointslices', group, slice('b', ['10.0.0.2'], { ready: false, serving: true, terminating: true }))
    cluster.put('endpointslices', group, slice('c', ['10.0.0.3'], { ready: false, serving: false, terminating: true }))
    adapter = adapterAt(cluster.port)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const { endpoints } = await listener.untilIds(['10.0.0.1:8080', '10.0.0.2:8080'])
    expect(endpoints.map(({ healthy }) => healthy)).to.deep.equal([true, false])
  })

  it('a forgotten resource version is listed anew, without a word to anybody', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    const gate = await startGate(cluster.port)
    adapter = adapterAt(gate.port)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:8080'])
    const before = cluster.lists
    cluster.compact()
    gate.cut()
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1', '10.0.0.2']))
    await listener.untilIds(['10.0.0.1:8080', '10.0.0.2:8080'])
    expect(cluster.lists).to.be.greaterThan(before)
    expect(listener.problems).to.deep.equal([])
    await gate.close()
  })

  it('a watch that ends goes on from the last bookmark, not from a list', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    adapter = createKubernetesAdapter(
      {
        name: 'cluster',
        access: { server: { host: '127.0.0.1', port: cluster.port }, tls: () => undefined, token: () => undefined },
        namespace: 'public',
        namespaces: [group],
        isWriting: false,
        maxEndpoints: 100,
        watchMs: 1000,
        pulseMs: 60_000,
      },
      recordedDeps(),
    )
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:8080'])
    const lists = cluster.lists
    // everything up to the bookmark is forgotten, and nobody notices
    cluster.compact()
    cluster.bookmark()
    await eventually(() => cluster.watches === 0, 'the watch to end')
    await eventually(() => cluster.watches === 1, 'the next one')
    cluster.put('endpointslices', group, slice('a', ['10.0.0.9']))
    await listener.untilIds(['10.0.0.9:8080'])
    expect(cluster.lists).to.equal(lists)
  })

  it('a list that was overtaken by a change does not bring back what was there before', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    adapter = adapterAt(cluster.port)
    adapter.start()
    const [first, second] = [recordingListener(), recordingListener()]
    adapter.subscribe(orders, first)
    await first.untilIds(['10.0.0.1:8080'])
    // the list for the second name is written down, then the change is told, then the list is sent
    cluster.holdLists()
    adapter.subscribe({ ...orders, name: 'orders:grpc' }, second)
    await eventually(() => cluster.held === 1, 'the list to be asked for')
    cluster.put('endpointslices', group, slice('a', ['10.0.0.2']))
    await first.untilIds(['10.0.0.2:8080'])
    const { lists } = cluster
    cluster.sendLists()
    await eventually(() => cluster.lists > lists, 'it to be asked for again')
    await second.untilIds(['10.0.0.2:9090'])
    expect(first.ids).to.deep.equal(['10.0.0.2:8080'])
    expect(first.sets).to.have.length(2)
  })
})
