import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AdminContext } from '../../../../../../agent/control/admin/context.ts'
import { envoyCerts } from '../../../../../../agent/control/admin/envoy/certs.ts'
import { envoyStats } from '../../../../../../agent/control/admin/envoy/stats.ts'
import { adminPages } from '../../../../../../agent/control/admin/pages.ts'
import { StatsMerger } from '../../../../../../agent/control/admin/stats.ts'
import type { ClusterDump, ListenerDump, WorkerQuestion } from '../../../../../../contracts/control-link.ts'
import { keyPaths } from '../../../../../support/envoy/key-paths.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'
import { endpoint } from '../../support/fake-registry.ts'

/** Every field that Envoy's own pages hold when it has what we dump; taken from a running one. */
const envoy = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../../../support/envoy/admin-fields.json'), 'utf8'),
) as { fields: string[] }

function foreignFields(page: string, answer: unknown): string[] {
  const known = new Set(envoy.fields)
  return [...keyPaths(answer, page)].filter((path) => !known.has(path))
}

const rules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
    - name: canary
      match:
        - uri: { exact: /x }
          method: { exact: GET }
          headers: { x-key: { exact: hunter2 }, x-there: {} }
          withoutHeaders: { x-other: { prefix: hunter2 } }
          queryParams: { q: { regex: hunter2 } }
        - uri: { regex: "/y.*" }
          ignoreUriCase: true
      route:
        - { destination: { host: orders, subset: v1 }, weight: 90 }
        - { destination: { host: orders }, weight: 10 }
      timeout: 2s
      retries: { attempts: 2, perTryTimeout: 500ms, retryOn: 5xx }
      headers: { request: { set: { x-set: hunter2 } } }
    - match: [{ uri: { prefix: /old } }]
      redirect: { uri: /new, authority: example.com }
    - match: [{ uri: { prefix: /teapot } }]
      directResponse: { status: 418 }
    - route: [{ destination: { host: orders } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec:
  host: orders
  trafficPolicy: { outlierDetection: { consecutive5xxErrors: 7 }, loadBalancer: { simple: ROUND_ROBIN } }
  subsets: [{ name: v1, labels: { version: v1 } }]
`
const clusters: ClusterDump[] = [
  {
    name: 'public/DEFAULT_GROUP@@orders||',
    service: 'public/DEFAULT_GROUP@@orders',
    subset: undefined,
    activeRequests: 1,
    pendingRequests: 0,
    connections: 2,
    breaker: 'off',
    callers: [],
    endpoints: ['healthy', 'ejected until 12:00', 'failed active check', 'unhealthy'].map((state, at) => ({
      endpoint: `10.0.0.${at + 1}:8080`,
      weight: 1,
      healthy: at === 0,
      state,
      activeRequests: 1,
      connections: 2,
      idleConnections: 1,
      requests: 10,
      failures: 3,
      latencyMs: 4,
      version: '',
      zone: 'bj/bj-1',
    })),
  },
]
const listeners: ListenerDump[] = [
  {
    name: 'outbound-http',
    address: '127.0.0.1',
    port: 15_001,
    kind: 'shared-http',
    state: 'listening',
    problem: undefined,
    connections: 0,
  },
  { name: 'broken', address: '127.0.0.1', port: 1, kind: 'service', state: 'failed', problem: 'taken', connections: 0 },
]

describe("the admin pages in Envoy's form", () => {
  let bench: Bench
  let ask: (path: string) => Promise<unknown>

  before(async () => {
    bench = await openBench({ outbound: { services: [{ service: 'orders' }, { service: 'ledger', protocol: 'tcp' }] } })
    bench.registry.say({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }, [
      endpoint('10.0.0.1:8080'),
      endpoint('10.0.0.2:8080'),
    ])
    bench.control.core.replaceRules('test', [{ name: 'rules.yaml', text: rules }])
    expect(bench.control.deps.rules.statuses().map(({ state, problems }) => [state, problems])).to.deep.equal([
      ['applied', []],
      ['applied', []],
    ])
    const worker = bench.worker()
    worker.answer = (question: WorkerQuestion) =>
      question.kind === 'clusters' ? clusters : question.kind === 'listeners' ? listeners : { series: [] }
    await worker.until(() => worker.wholes === 1, 'a snapshot')
    const { store } = bench.control.core
    while (!Object.values(store.whole(0).services).some((one) => one.endpoints.endpoints.length === 2))
      await new Promise(setImmediate)
    const context = {
      control: bench.control,
      metrics: bench.control.deps.metrics,
      stats: new StatsMerger(),
      fault: { take: () => ({ fault: 'none' }) },
      watchdog: () => undefined,
      version: '1.2.3',
      morePages: [],
      socketApis: [],
      startedAt: 0,
      collectors: () => [],
      faults: () => [],
      drainSwitch: { isFailed: false },
      drain: { extent: 'none' },
    } as unknown as AdminContext
    const pages = adminPages(context)
    ask = async (path) => {
      const url = new URL(path, 'http://admin')
      const page = pages.find((one) => one.path === url.pathname && one.method === 'GET')!
      const isJson = url.searchParams.get('format') === 'json'
      const reply = await page.answer({
        method: 'GET',
        path: url.pathname,
        query: url.searchParams,
        body: undefined,
        isJson,
      } as never)
      return JSON.parse(reply.body)
    }
  })

  after(() => bench?.close())

  for (const page of ['server_info', 'clusters?format=json', 'listeners?format=json', 'certs', 'stats?format=json'])
    it(`/${page} has no field that Envoy's has not`, async () => {
      expect(foreignFields(page.replace(/\?.*/, ''), await ask(`/${page}`))).to.deep.equal([])
    })

  it('/config_dump holds listeners, routes, clusters and endpoints with fields of Envoy alone', async () => {
    const dump = (await ask('/config_dump?include_eds')) as { configs: { '@type': string }[] }
    expect(foreignFields('config_dump', dump)).to.deep.equal([])
    expect(dump.configs.map((one) => one['@type'].replace('type.googleapis.com/envoy.admin.v3.', ''))).to.deep.equal([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'EndpointsConfigDump',
      'ListenersConfigDump',
      'RoutesConfigDump',
    ])
    const seen = [...keyPaths(dump, 'config_dump')]
    for (const field of [
      'envoy.config.cluster.v3.Cluster.outlier_detection.consecutive_5xx',
      'envoy.config.route.v3.RouteConfiguration.virtual_hosts[].routes[].route.weighted_clusters.clusters[].weight',
      'envoy.config.route.v3.RouteConfiguration.virtual_hosts[].routes[].redirect.host_redirect',
      'envoy.config.endpoint.v3.ClusterLoadAssignment.endpoints[].lb_endpoints[].endpoint.address.socket_address.port_value',
      'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.cluster',
    ])
      expect(seen).to.include(field)
    expect(JSON.stringify(await ask('/config_dump'))).to.not.include('EndpointsConfigDump')
  })

  it('shows no value of a header or query', async () => {
    expect(JSON.stringify(await ask('/config_dump?include_eds'))).to.not.include('hunter2')
  })

  it('says why an endpoint is not used in the flags of Envoy', async () => {
    const { cluster_statuses: found } = (await ask('/clusters?format=json')) as {
      cluster_statuses: { host_statuses: { health_status: object }[] }[]
    }
    expect(found[0]!.host_statuses.map((one) => one.health_status)).to.deep.equal([
      { eds_health_status: 'HEALTHY' },
      { eds_health_status: 'HEALTHY', failed_outlier_check: true },
      { eds_health_status: 'HEALTHY', failed_active_health_check: true },
      { eds_health_status: 'UNHEALTHY' },
    ])
    const { listener_statuses } = (await ask('/listeners?format=json')) as { listener_statuses: { name: string }[] }
    expect(listener_statuses.map((one) => one.name)).to.deep.equal(['outbound-http'])
  })

  it('computes quantiles of histograms from their buckets', () => {
    const rows = [{ name: 'ms', value: 100, buckets: [10, 20], counts: [5, 5, 0] }]
    const { stats } = envoyStats(rows) as {
      stats: { histograms: { computed_quantiles: { values: { cumulative: number }[] }[] } }[]
    }
    expect(foreignFields('stats', { stats })).to.deep.equal([])
    const values = stats[0]!.histograms.computed_quantiles[0]!.values.map((one) => one.cumulative)
    expect(values[2]).to.equal(10)
    expect(values.at(-1)).to.equal(20)
    const empty = envoyStats([{ ...rows[0]!, counts: [0, 0, 0] }])
    expect(JSON.stringify(empty)).to.include('"cumulative":null')
  })

  it('reads the certificates that it names, and leaves out what is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-certs-'))
    try {
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
      const words = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '30',
        '-subj',
        '/CN=x',
      ]
      const names = 'subjectAltName=DNS:x.example.com,URI:spiffe://a/b,IP:10.0.0.1'
      execFileSync('openssl', [...words, '-keyout', key, '-out', cert, '-addext', names], { stdio: 'ignore' })
      writeFileSync(join(folder, 'no.pem'), 'nothing')
      const pem = readFileSync(cert, 'utf8')
      const own = { id: 'spiffe://a/b', chain: pem, trustBundle: pem, notAfter: 0 }
      const answer = envoyCerts([{ ca: cert, cert: join(folder, 'no.pem') }], [own], Date.now()) as {
        certificates: { ca_cert: Record<string, unknown>[]; cert_chain: unknown[] }[]
      }
      expect(foreignFields('certs', answer)).to.deep.equal([])
      const [mine, other] = answer.certificates
      expect(mine!.cert_chain[0]).to.deep.include({ path: 'spiffe://a/b', days_until_expiration: '29' })
      const { ca_cert, cert_chain } = other!
      expect(cert_chain).to.deep.equal([])
      expect(ca_cert[0]).to.deep.include({
        path: cert,
        days_until_expiration: '29',
        subject_alt_names: [{ dns: 'x.example.com' }, { uri: 'spiffe://a/b' }, { ip_address: '10.0.0.1' }],
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
