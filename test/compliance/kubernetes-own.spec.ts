import { expect } from 'chai'
import { createKubernetesAdapter } from '../../registry-adapters/kubernetes/index.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter, RuleCollection } from '../../contracts/registry-adapter.ts'
import { startKubernetesStandIn } from '../support/kubernetes/stand-in.ts'
import type { KubernetesStandIn, StandInObject } from '../support/kubernetes/stand-in.ts'
import { systemClock } from '../../contracts/clock.ts'
import { HttpClient } from '../../registry-adapters/http/http-client.ts'
import { KubernetesApi, slicesOf } from '../../registry-adapters/kubernetes/kubernetes-api.ts'
import { instanceName } from '../../registry-adapters/kubernetes/instance-driver.ts'
import { removeLeftovers } from '../../registry-adapters/kubernetes/leftovers.ts'
import { manualClock } from '../support/manual-clock.ts'
import { startGate } from '../support/nacos/gate.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import { adapterAt, group } from '../support/kubernetes/adapter.ts'

describe('Kubernetes, what only it has', function () {
  this.timeout(240_000)
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
        write: 'off',
        hasRules: false,
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
    await eventually(() => cluster.watches === 1, 'the first watch')
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

  it('the watches of twelve namespaces with every kind of rule leave room for questions', async () => {
    for (const [place, plurals] of [
      ['networking.istio.io/v1', 'virtualservices destinationrules serviceentries workloadentries gateways'],
      ['security.istio.io/v1', 'peerauthentications authorizationpolicies requestauthentications'],
      ['gateway.networking.k8s.io/v1', 'httproutes grpcroutes tcproutes'],
      ['hostmesh.io/v1', 'meshpolicies'],
    ])
      for (const plural of plurals!.split(' ')) cluster.install(place!, plural)
    const namespaces = [group, ...Array.from({ length: 11 }, (_, index) => `team-${index}`)]
    adapter = adapterAt(cluster.port, 'off', true, recordedDeps(), namespaces)
    adapter.rules!.watch(() => undefined)
    adapter.start()
    await eventually(
      () => cluster.watches === 12 * 13,
      () => `156 watches, there are ${cluster.watches}`,
    )
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:8080'])
    expect(listener.problems).to.deep.equal([])
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

  const carts: ServiceName = { ...orders, name: 'carts' }
  const cartsSlice = (name: string, addresses: readonly string[]): StandInObject => {
    const one = slice(name, addresses)
    one.metadata.labels = { 'kubernetes.io/service-name': 'carts' }
    return one
  }

  it('a question about one service that is refused makes that one old, alone, and status names it until it is answered', async () => {
    cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
    cluster.put('endpointslices', group, cartsSlice('b', ['10.0.0.2']))
    adapter = adapterAt(cluster.port)
    adapter.start()
    const [first, second, other] = [recordingListener(), recordingListener(), recordingListener()]
    adapter.subscribe(orders, first)
    adapter.subscribe(carts, other)
    await first.untilIds(['10.0.0.1:8080'])
    await other.untilIds(['10.0.0.2:8080'])
    cluster.listStatus = 429
    adapter.subscribe({ ...orders, name: 'orders:grpc' }, second)
    await eventually(() => first.problems.length === 1 && second.problems.length === 1, 'the refusal')
    // a change of the other one is no answer to the question
    cluster.put('endpointslices', group, cartsSlice('b', ['10.0.0.2', '10.0.0.3']))
    await other.untilIds(['10.0.0.2:8080', '10.0.0.3:8080'])
    expect(other.problems).to.deep.equal([])
    expect(adapter.status().problem?.message).to.include('429')
    expect(adapter.status().connected).to.equal(true)
    cluster.listStatus = undefined
    await second.untilIds(['10.0.0.1:9090'])
    await eventually(() => adapter!.status().problem === undefined, 'nothing to be wrong any more')
  })

  for (const [words, label] of [
    ['another service', 'carts'],
    ['a service that nobody wants', 'nobody'],
    ['none', undefined],
  ] as const)
    it(`a slice whose label comes to name ${words} is no longer of the first`, async () => {
      cluster.put('endpointslices', group, slice('a', ['10.0.0.1']))
      cluster.put('endpointslices', group, slice('moved', ['10.0.0.2']))
      adapter = adapterAt(cluster.port)
      adapter.start()
      const [first, other] = [recordingListener(), recordingListener()]
      adapter.subscribe(orders, first)
      adapter.subscribe(carts, other)
      await first.untilIds(['10.0.0.1:8080', '10.0.0.2:8080'])
      await eventually(() => cluster.watches === 1, 'the watch')
      const moved = slice('moved', ['10.0.0.2'])
      moved.metadata.labels = label === undefined ? {} : { 'kubernetes.io/service-name': label }
      cluster.put('endpointslices', group, moved)
      await first.untilIds(['10.0.0.1:8080'])
      if (label === 'carts') await other.untilIds(['10.0.0.2:8080'])
    })

  const registration = {
    service: orders,
    address: '10.2.0.1',
    port: 21_000,
    weight: 1,
    cluster: '',
    healthy: true,
    enabled: true,
    metadata: { version: 'v1', zone: 'bj-1', 'hostmesh.inbound': 'true' },
  }

  it('an object of somebody else under our name is neither changed nor removed, and the conflict is named', async () => {
    const deps = recordedDeps()
    adapter = adapterAt(cluster.port, 'endpoint-slices', false, deps)
    adapter.start()
    const first = adapter.register(registration)
    await eventually(() => first.state === 'registered', 'the application')
    const [mine] = cluster.objects('endpointslices', group)
    first.release()
    cluster.put('endpointslices', group, {
      ...structuredClone(mine!),
      metadata: { name: mine!.metadata.name, labels: { 'kubernetes.io/service-name': 'orders' } },
    })
    const second = adapter.register(registration)
    await eventually(() => second.state === 'failing', 'the conflict')
    expect(deps.lines.some((line) => line.includes('E_REGISTRY_CONFLICT') && line.includes('is not ours'))).to.equal(
      true,
    )
    await second.deregister(2000)
    expect(cluster.objects('endpointslices', group)).to.have.length(1)
  })

  for (const moment of ['made', 'changed', 'removed'] as const)
    it(`an object that somebody else puts under our name in the moment in which ours is ${moment} stays his`, async () => {
      const deps = recordedDeps()
      adapter = adapterAt(cluster.port, 'endpoint-slices', false, deps)
      adapter.start()
      cluster.put('services', group, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'orders' } })
      const name = instanceName(registration)
      const his = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name, labels: { 'kubernetes.io/service-name': 'orders' } },
        endpoints: [],
      }
      const intrude = (): void => {
        cluster.beforeWrite = () => {
          cluster.beforeWrite = undefined
          cluster.put('endpointslices', group, his)
        }
      }
      if (moment === 'made') intrude()
      const handle = adapter.register(registration)
      if (moment !== 'made') {
        await eventually(() => handle.state === 'registered', 'the application')
        intrude()
      }
      if (moment === 'changed') handle.update({ metadata: { version: 'v2' } })
      if (moment !== 'removed') await eventually(() => handle.state === 'failing', 'the conflict')
      await handle.deregister(2000)
      const left = cluster.objects('endpointslices', group)
      expect(left.map(({ metadata, endpoints }) => [metadata.labels, endpoints])).to.deep.equal([
        [his.metadata.labels, []],
      ])
      if (moment !== 'removed')
        expect(
          deps.lines.some((line) => line.includes('E_REGISTRY_CONFLICT') && line.includes('is not ours')),
        ).to.equal(true)
    })

  it('writes workload entries and the service entry that takes them, keeps them alive, and takes them back', async () => {
    for (const resource of ['serviceentries', 'workloadentries']) cluster.install('networking.istio.io/v1', resource)
    adapter = adapterAt(cluster.port, 'workload-entries')
    adapter.start()
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the application')
    const [entry] = cluster.objects('serviceentries', group)
    expect(entry!['spec']).to.deep.equal({
      hosts: ['orders.DEFAULT_GROUP.svc.cluster.local'],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http-mesh', protocol: 'HTTP' }],
      workloadSelector: { labels: { app: 'orders' } },
    })
    const [workload] = cluster.objects('workloadentries', group)
    expect(workload!['spec']).to.deep.equal({
      address: '10.2.0.1',
      ports: { 'http-mesh': 21_000 },
      labels: { app: 'orders', version: 'v1', zone: 'bj-1', 'hostmesh.inbound': 'true' },
      weight: 1,
      locality: '/bj-1',
    })
    // an unhealthy application is no entry for Istio
    handle.update({ healthy: false })
    await eventually(() => cluster.objects('workloadentries', group).length === 0, 'it to be out')
    handle.update({ healthy: true })
    await eventually(() => cluster.objects('workloadentries', group).length === 1, 'it to be back')
    await handle.deregister(2000)
    expect(cluster.objects('workloadentries', group)).to.deep.equal([])
  })

  describe('removing what dead hosts wrote', () => {
    const [old, now] = [new Date(Date.now() - 700_000).toISOString(), new Date().toISOString()]
    const written = (name: string, renewedAt: string | undefined, isOurs = true): StandInObject => {
      const object = slice(name, ['10.0.0.1'])
      if (isOurs) object.metadata.labels!['app.kubernetes.io/managed-by'] = 'hostmesh'
      if (renewedAt !== undefined) object.metadata.annotations = { 'hostmesh.io/renewed-at': renewedAt }
      return object
    }
    /** Looks again and again at what lies there, until `isDone`; answers what is left. */
    async function look(deps: ReturnType<typeof recordedDeps>, isDone: () => boolean): Promise<string[]> {
      const clock = manualClock(Date.now())
      const http = new HttpClient({
        servers: [{ host: '127.0.0.1', port: cluster.port }],
        tls: () => undefined,
        headers: () => ({}),
        clock: systemClock,
        random: Math.random,
      })
      const stop = removeLeftovers({
        ...deps,
        clock,
        registry: 'cluster',
        api: new KubernetesApi(http),
        collections: [slicesOf(group)],
        forgetAfterMs: 600_000,
      })
      await eventually(
        () => {
          if (cluster.objects('endpointslices', group).some(({ metadata }) => metadata.name === 'alive'))
            cluster.put('endpointslices', group, written('alive', new Date(clock.wall()).toISOString()))
          clock.advance(75_000)
          return isDone()
        },
        () => `one to be removed; ${deps.lines.join()}`,
      )
      stop()
      http.close()
      return cluster.objects('endpointslices', group).map(({ metadata }) => metadata.name)
    }

    it('leaves what was renewed and what others wrote', async () => {
      for (const one of [
        written('dead', old),
        written('alive', now),
        written('strange', old, false),
        written('odd', 'never'),
      ])
        cluster.put('endpointslices', group, one)
      const deps = recordedDeps()
      const left = await look(deps, () => deps.counted('registry_leftovers_removed') === 1)
      expect(left).to.deep.equal(['alive', 'strange', 'odd'])
    })

    it('neither counts nor reports one that is renewed in the moment of its removal, which stays', async () => {
      for (const name of ['back', 'dead']) cluster.put('endpointslices', group, written(name, old))
      cluster.beforeWrite = () => {
        cluster.beforeWrite = undefined
        cluster.put('endpointslices', group, written('back', now))
      }
      const deps = recordedDeps()
      const left = await look(deps, () => deps.lines.some((line) => line.includes('dead: its host gave no sign')))
      expect(left).to.deep.equal(['back'])
      expect(deps.counted('registry_leftovers_removed')).to.equal(1)
      expect(deps.lines.join()).to.not.include('back: its host')
    })
  })

  describe('as a place of rules', () => {
    const rule = (kind: string, name: string, spec: object): StandInObject => ({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name, namespace: group, labels: {} },
      spec,
    })
    const route = rule('VirtualService', 'orders', {
      hosts: ['orders'],
      http: [{ route: [{ destination: { host: 'orders' } }] }],
    })
    let heard: (readonly RuleCollection[])[]
    const watch = async (): Promise<void> => {
      adapter = adapterAt(cluster.port, 'off', true)
      heard = []
      adapter.rules!.watch((collections) => void heard.push(collections))
      // nobody has answered yet: what is in force stays
      await eventually(() => heard.length === 1, 'the first word')
      expect(heard[0]!.every(({ text, isAwaited }) => text === undefined && isAwaited === true)).to.equal(true)
      adapter.start()
    }
    const last = (kind: string): RuleCollection | undefined =>
      heard.at(-1)?.find(({ name }) => name === `${kind} in ${group}`)

    it('tells all rules of a kind, each change, and that one is gone; kinds that the cluster has not are empty', async () => {
      cluster.install('networking.istio.io/v1beta1', 'virtualservices')
      cluster.put('virtualservices', group, structuredClone(route))
      await watch()
      await eventually(() => last('VirtualService')?.text?.includes('"orders"') === true, 'the rule')
      await eventually(() => last('HTTPRoute')?.text === '', 'a kind that is not there')
      cluster.put('virtualservices', group, { ...structuredClone(route), metadata: { name: 'second' } })
      await eventually(() => last('VirtualService')!.text!.split('---').length === 2, 'the second one')
      cluster.remove('virtualservices', group, 'orders')
      await eventually(() => last('VirtualService')!.text!.split('---').length === 1, 'the first one to be gone')
    })

    it('says which kind it may not read, goes on with the others, and leaves out what the mesh wrote', async () => {
      for (const resource of ['virtualservices', 'serviceentries']) cluster.install('networking.istio.io/v1', resource)
      cluster.put('virtualservices', group, structuredClone(route))
      const own = rule('ServiceEntry', 'own', {})
      own.metadata.labels = { 'app.kubernetes.io/managed-by': 'hostmesh' }
      cluster.put('serviceentries', group, own)
      cluster.forbidden.add('virtualservices')
      await watch()
      await eventually(() => last('VirtualService')?.problem?.includes('403') === true, 'the refusal')
      await eventually(() => last('ServiceEntry')?.text === '', 'the other kind')
      expect(last('VirtualService')).to.include({ text: undefined })
      expect(adapter!.status().connected).to.equal(true)
    })
  })
})
