/** A host beside a cluster: it calls pods, follows the rules that lie there, and is called by pods. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { type DemoApplication, type DemoHost, Mesh, call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { startKubernetesStandIn } from '../../support/kubernetes/stand-in.ts'
import type { KubernetesStandIn, StandInObject } from '../../support/kubernetes/stand-in.ts'

const namespace = 'shop'

describe('a host beside a cluster', function () {
  this.timeout(240_000)
  let cluster: KubernetesStandIn
  let folder: string
  let mesh: Mesh
  let host: DemoHost
  let pod: DemoApplication
  let ledger: DemoApplication

  before(async () => {
    cluster = await startKubernetesStandIn()
    for (const resource of ['virtualservices', 'serviceentries', 'workloadentries'])
      cluster.install('networking.istio.io/v1', resource)
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-cluster-'))
    const kubeconfig = join(folder, 'kubeconfig')
    writeFileSync(
      kubeconfig,
      stringify({
        'current-context': 'test',
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'agent' } }],
        clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${cluster.port}` } }],
        users: [{ name: 'agent', user: { token: 'x' } }],
      }),
      { mode: 0o600 },
    )
    mesh = await Mesh.open([
      {
        name: 'cluster',
        type: 'kubernetes',
        kubeconfig,
        namespaces: [namespace],
        rules: 'on',
        write: 'endpoint-slices',
      },
    ])
    pod = await mesh.httpApplication('orders', 'v1')
    ledger = await mesh.httpApplication('ledger', 'v1')
    cluster.put('endpointslices', namespace, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'orders-x', labels: { 'kubernetes.io/service-name': 'orders' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: pod.port, protocol: 'TCP' }],
      endpoints: [{ addresses: [pod.address], conditions: { ready: true } }],
    })
    host = mesh.host('alpha', {
      applications: [ledger],
      outbound: [{ service: 'orders', protocol: 'http' }],
      extra: { watchdog: { startDeadline: '120s', probeTimeout: '10s' } },
    })
    host.start()
    await host.ready(120_000)
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })
  after(async () => {
    await (mesh as Mesh | undefined)?.close()
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const rule = (kind: string, name: string, spec: object): StandInObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name, namespace, labels: {}, uid: '7', generation: 1 } as StandInObject['metadata'],
    spec,
    status: {},
  })
  const ask = (name: string): ReturnType<typeof call> => call(host.options.address, sharedPort, { host: name })

  it('calls pods by the short name of their Service and by the long one', async () => {
    await until(60_000, 'orders answers', async () => (await ask('orders')).status === 200)
    expect((await ask('orders.shop.svc.cluster.local')).status).to.equal(200)
  })

  it('follows the rules of the cluster: they come, change, cannot be read for a while, and go', async () => {
    const marked = async (): Promise<unknown> => (await ask('orders')).headers['x-rule']
    const write = (mark: string): void =>
      cluster.put(
        'virtualservices',
        namespace,
        rule('VirtualService', 'orders', {
          hosts: ['orders'],
          http: [{ headers: { response: { set: { 'x-rule': mark } } }, route: [{ destination: { host: 'orders' } }] }],
        }),
      )
    write('one')
    await until(60_000, 'the rule counts', async () => (await marked()) === 'one')
    write('two')
    await until(60_000, 'the change counts', async () => (await marked()) === 'two')
    const { text } = await host.admin.get('/rules')
    expect(text).to.contain('VirtualService in shop')
    cluster.remove('virtualservices', namespace, 'orders')
    await until(60_000, 'it is gone', async () => (await marked()) === undefined)
  })

  it('calls what a service entry of the cluster declares by workload entries', async () => {
    cluster.put(
      'serviceentries',
      namespace,
      rule('ServiceEntry', 'bank', {
        hosts: ['bank.example.com'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'STATIC',
        workloadSelector: { labels: { app: 'bank' } },
      }),
    )
    cluster.put(
      'workloadentries',
      namespace,
      rule('WorkloadEntry', 'bank-1', { address: pod.address, ports: { http: pod.port }, labels: { app: 'bank' } }),
    )
    await until(60_000, 'the bank answers', async () => (await ask('bank.example.com')).status === 200)
  })

  it('announces its application to pods, and takes it back when it stops', async () => {
    const written = (): StandInObject[] =>
      cluster
        .objects('endpointslices', namespace)
        .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/managed-by'] === 'hostmesh')
    await until(60_000, 'the slice', async () => written().length === 1)
    const [slice] = written()
    const [{ addresses }] = slice!['endpoints'] as [{ addresses: string[] }]
    const [{ port }] = slice!['ports'] as [{ port: number }]
    expect((await call(addresses[0]!, port)).status).to.equal(200)
    await host.stop()
    expect(written()).to.deep.equal([])
  })
})
