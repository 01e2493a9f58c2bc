/**
 * The Kubernetes adapter against a real API server: what the stand-in of the suite says is checked here. `npm run
 * test:kubernetes`.
 */
import { expect } from 'chai'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter, RuleCollection } from '../../contracts/registry-adapter.ts'
import { createKubernetesAdapter } from '../../registry-adapters/kubernetes/index.ts'
import type { KubernetesAdapterConfig } from '../../registry-adapters/kubernetes/index.ts'
import { describeKubernetesFacts } from '../compliance/kubernetes-facts.ts'
import { describeRegistryAdapter } from '../compliance/registry-adapter.ts'
import type { OutsideInstance } from '../compliance/registry-adapter.ts'
import { describeRegistryFaults } from '../compliance/registry-faults.ts'
import { agentToken, startApiServer } from '../support/kubernetes/api-server.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { startGate } from '../support/nacos/gate.ts'
import { eventually, recordedDeps } from '../support/registry-listener.ts'

const namespace = 'shop'
const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/agent'

async function prepared(): Promise<ApiServer> {
  const server = await startApiServer()
  await created(server, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  await created(server, '/apis/rbac.authorization.k8s.io/v1/clusterroles', roleOf(true))
  await created(server, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'agent' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'agent' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'agent' }],
  })
  return server
}

/** The rights that docs/kubernetes.md names, and no more. */
function roleOf(isAllowed: boolean): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'agent' },
    rules: isAllowed
      ? [
          {
            apiGroups: ['discovery.k8s.io'],
            resources: ['endpointslices'],
            verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
          },
          { apiGroups: [''], resources: ['services'], verbs: ['get', 'list', 'create', 'patch'] },
          {
            apiGroups: ['networking.istio.io'],
            resources: ['virtualservices', 'serviceentries', 'workloadentries'],
            verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
          },
        ]
      : [],
  }
}

async function created(server: ApiServer, path: string, object: object): Promise<void> {
  const { status, json } = await server.ask('POST', path, object)
  if (status !== 201 && status !== 409) throw new Error(`${path}: ${status} ${JSON.stringify(json)}`)
}

function adapterAt(port: number, change: Partial<KubernetesAdapterConfig> = {}): RegistryAdapter {
  return createKubernetesAdapter(
    {
      name: 'cluster',
      access: { server: { host: '127.0.0.1', port }, tls: () => insecure, token: () => agentToken },
      namespace: 'public',
      namespaces: [namespace],
      write: 'endpoint-slices',
      hasRules: false,
      maxEndpoints: 10_000,
      watchMs: 8000,
      pulseMs: 500,
      ...change,
    },
    recordedDeps(),
  )
}

/** The API server's certificate is one that it made itself; product code has no such switch. */
const insecure = { rejectUnauthorized: false } as object

async function put(server: ApiServer, service: ServiceName, instances: readonly OutsideInstance[]): Promise<void> {
  await created(server, `/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: service.name },
    spec: { ports: [{ port: 80 }] },
  })
  const wanted = new Set<string>()
  for (const { address, port, weight = 1, metadata = {} } of instances) {
    const name = `${service.name}-${address.replaceAll('.', '-')}-${port}`
    wanted.add(name)
    const { status, json } = await server.ask(
      'PATCH',
      `${slices}/${name}?fieldManager=test&force=true`,
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name,
          labels: { 'kubernetes.io/service-name': service.name },
          annotations: { 'hostmesh.io/metadata': JSON.stringify({ ...metadata, 'hostmesh.weight': String(weight) }) },
        },
        addressType: 'IPv4',
        ports: [{ name: 'http', port, protocol: 'TCP' }],
        endpoints: [
          { addresses: [address], conditions: { ready: true }, ...(metadata['zone'] && { zone: metadata['zone'] }) },
        ],
      },
      'application/apply-patch+yaml',
    )
    if (status > 201) throw new Error(`${name}: ${status} ${JSON.stringify(json)}`)
  }
  for (const name of await namesOf(server, service))
    if (!wanted.has(name)) await server.ask('DELETE', `${slices}/${name}`)
}

interface Slice {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> }
  /** null: it is made, and what it holds is not yet written. */
  readonly endpoints:
    | readonly {
        readonly addresses: readonly string[]
        readonly conditions: { readonly ready: boolean }
      }[]
    | null
  readonly ports: readonly { readonly port: number }[] | null
}

async function slicesOf(server: ApiServer, service: ServiceName): Promise<readonly Slice[]> {
  const { json } = await server.ask('GET', `${slices}?labelSelector=kubernetes.io%2Fservice-name%3D${service.name}`)
  return (json as { items: Slice[] }).items
}

/** What others see of it. */
async function seen(
  server: ApiServer,
  service: ServiceName,
): Promise<{ id: string; weight: number; metadata: Record<string, string> }[]> {
  return (await slicesOf(server, service)).flatMap(({ metadata, endpoints, ports }) => {
    const [[endpoint], [port]] = [endpoints ?? [], ports ?? []]
    if (endpoint?.conditions.ready !== true) return []
    const known = JSON.parse(metadata.annotations!['hostmesh.io/metadata']!) as Record<string, string>
    return [{ id: `${endpoint.addresses[0]}:${port!.port}`, weight: Number(known['hostmesh.weight']), metadata: known }]
  })
}

async function namesOf(server: ApiServer, service: ServiceName): Promise<string[]> {
  return (await slicesOf(server, service)).map(({ metadata }) => metadata.name)
}

describeRegistryAdapter(
  'Kubernetes, a real API server',
  { register: true, config: false, cutOff: true, spoil: false },
  async (context) => {
    context.timeout(1_800_000)
    const server = await prepared()
    const gate = await startGate(server.port)
    return {
      namespace: 'public',
      group: namespace,
      createAdapter: () => adapterAt(gate.port),
      put: (service, instances) => put(server, service, instances),
      seen: (service) => seen(server, service),
      cutOff: () => gate.shut(),
      comeBack: () => gate.open(),
      close: async () => {
        await gate.close()
        await server.stop()
      },
    }
  },
)

describeRegistryFaults('Kubernetes, a real API server', { register: true, deny: true, huge: true }, async (context) => {
  context.timeout(1_800_000)
  const server = await prepared()
  const gate = await startGate(server.port)
  return {
    namespace: 'public',
    group: namespace,
    silenceMs: 40_000,
    createAdapter: () => adapterAt(gate.port),
    put: (service, instances) => put(server, service, instances),
    kill: () => server.kill(),
    restart: () => server.start(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    // the rights are taken away: 403 to each question, and the watch lives on until it ends
    deny: async () => {
      await server.ask('PUT', role, roleOf(false))
    },
    allow: async () => {
      await server.ask('PUT', role, roleOf(true))
    },
    huge: async (service, bytes) => {
      const note = 'x'.repeat(240 * 1024)
      for (let index = 0; index * note.length < bytes; index++) {
        const { status } = await server.ask('POST', slices, {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: {
            name: `${service.name}-${index}`,
            labels: { 'kubernetes.io/service-name': service.name },
            annotations: { note },
          },
          addressType: 'IPv4',
          ports: [{ port: 80 }],
          endpoints: [{ addresses: [`10.3.${index >> 8}.${index & 255}`] }],
        })
        expect(status).to.equal(201)
      }
    },
    forget: (service) => put(server, service, []),
    seen: async (service) => (await seen(server, service)).map(({ id }) => id),
    close: async () => {
      await gate.close()
      await server.stop()
    },
  }
})

describeKubernetesFacts('a real one', async (context) => {
  context.timeout(1_800_000)
  const server = await prepared()
  return {
    namespace,
    open: server.open,
    // it remembers what it has seen itself
    forget: async () => {
      await server.kill()
      await server.start()
    },
    close: () => server.stop(),
  }
})

describe('Kubernetes, a real API server with the kinds of Istio', function () {
  this.timeout(120_000)
  let server: ApiServer
  let adapter: RegistryAdapter | undefined
  before(async () => {
    server = await prepared()
    for (const [kind, plural] of [
      ['VirtualService', 'virtualservices'],
      ['ServiceEntry', 'serviceentries'],
      ['WorkloadEntry', 'workloadentries'],
      ['DestinationRule', 'destinationrules'],
    ])
      await created(server, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${plural}.networking.istio.io` },
        spec: {
          group: 'networking.istio.io',
          names: { kind, plural, singular: kind!.toLowerCase() },
          scope: 'Namespaced',
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          ],
        },
      })
    await eventually(
      async () => (await server.ask('GET', '/apis/networking.istio.io/v1/workloadentries')).status === 200,
      'the kinds',
    )
  })
  afterEach(() => adapter?.close())
  after(() => server.stop())

  const at = (plural: string): string => `/apis/networking.istio.io/v1/namespaces/${namespace}/${plural}`

  it('rules are read and followed; a kind without rights is named, one that is not installed is empty', async () => {
    const route = (name: string): object => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name },
      spec: { hosts: [name], http: [{ route: [{ destination: { host: name } }] }] },
    })
    await created(server, at('virtualservices'), route('orders'))
    adapter = adapterAt(server.port, { hasRules: true, write: 'off' })
    const heard: (readonly RuleCollection[])[] = []
    adapter.rules!.watch((collections) => void heard.push(collections))
    adapter.start()
    const last = (kind: string): RuleCollection | undefined =>
      heard.at(-1)?.find(({ name }) => name === `${kind} in ${namespace}`)
    await eventually(() => last('VirtualService')?.text?.includes('"orders"') === true, 'the rule')
    await eventually(() => last('DestinationRule')?.problem?.includes('403') === true, 'the refusal')
    await eventually(() => last('MeshPolicy') !== undefined && last('HTTPRoute') !== undefined, 'the others')
    await created(server, at('virtualservices'), route('second'))
    await eventually(() => last('VirtualService')!.text!.split('---').length === 2, 'the second one')
    await server.ask('DELETE', `${at('virtualservices')}/orders`)
    await eventually(() => last('VirtualService')!.text!.split('---').length === 1, 'the first one to be gone')
  })

  it('a local application is written as a workload entry that its service entry takes, and taken back', async () => {
    adapter = adapterAt(server.port, { write: 'workload-entries' })
    adapter.start()
    const handle = adapter.register({
      service: { namespace: 'public', group: namespace, name: 'orders' },
      address: '10.2.0.1',
      port: 21_000,
      weight: 1,
      cluster: '',
      healthy: true,
      enabled: true,
      metadata: { version: 'v1' },
    })
    await eventually(() => handle.state === 'registered', 'the application', 60_000)
    const { json } = await server.ask('GET', at('workloadentries'))
    expect((json as { items: { spec: object }[] }).items.map(({ spec }) => spec)).to.deep.equal([
      { address: '10.2.0.1', ports: { 'http-mesh': 21_000 }, labels: { version: 'v1', app: 'orders' }, weight: 1 },
    ])
    expect((await server.ask('GET', `${at('serviceentries')}/orders`)).status).to.equal(200)
    await handle.deregister(5000)
    expect(((await server.ask('GET', at('workloadentries'))).json as { items: object[] }).items).to.deep.equal([])
  })
})
