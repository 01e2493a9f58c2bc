import { expect } from 'chai'
import { once } from 'node:events'
import { connect } from 'node:net'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import {
  choices,
  meshPanels,
  performancePanels,
  servicePanels,
  workloadPanels,
} from '../../support/observability/istio-panels.ts'
import type { Chosen } from '../../support/observability/istio-panels.ts'
import { RealPrometheus } from '../../support/observability/prometheus.ts'
import { Authority } from '../../support/tls/authority.ts'
import { IdentityFiles } from '../../support/tls/identity-files.ts'

const idOf = (account: string): string => `spiffe://mesh.test/ns/public/sa/${account}`

describe("Istio's public dashboards over hosts of ours", function () {
  this.timeout(120_000)
  const authority = new Authority()
  let mesh: Mesh
  let provider: DemoHost
  let caller: DemoHost
  let prometheus: RealPrometheus | undefined
  let orders: number
  let lines: number

  before(async function () {
    const why = await RealPrometheus.missing()
    if (why !== undefined) {
      console.log(why)
      this.skip()
    }
    mesh = await Mesh.openOnFiles()
    const address = mesh.address()
    const applications = [
      await mesh.httpApplication('orders', 'v1', address),
      await mesh.lineApplication('lines', 'v1', address),
    ]
    const identity = (name: string): IdentityFiles => new IdentityFiles(mesh.directory, name, authority)
    provider = mesh.host('provider', { applications, extra: { tls: identity('provider').section } })
    caller = mesh.host('caller', {
      outbound: [
        { service: 'orders', protocol: 'http' },
        { service: 'lines', protocol: 'tcp' },
      ],
      extra: { tls: identity('caller').section },
    })
    for (const name of ['provider', 'caller']) identity(name).write(authority.leaf(idOf(name)))
    provider.start()
    await provider.ready()
    orders = await inboundPort(provider, 'orders')
    lines = await inboundPort(provider, 'lines')
    const metadata = { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'permissive' }
    for (const service of ['orders', 'lines']) {
      const endpoints = [{ address, port: await inboundPort(provider, service), metadata }]
      mesh.tell(service, endpoints)
    }
    caller.start()
    await caller.ready()
    await until(15_000, 'orders is reachable', async () => (await callOrders()).status === 200)
    prometheus = await RealPrometheus.start([provider, caller].map(({ options }) => `${options.address}:15020`))
  })

  after(async () => {
    await prometheus?.close()
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const callOrders = async () => call(caller.options.address, await caller.port('orders'))

  /** Through both agents in mutual TLS, and from outside in plain: requests, failures, raw connections. */
  async function traffic(): Promise<void> {
    expect((await callOrders()).status).to.equal(200)
    expect((await call(provider.options.address, orders)).status).to.equal(200)
    const lost = await call(caller.options.address, sharedPort, { 'x-mesh-service': 'nobody' })
    expect(lost.status).to.equal(503)
    for (const [port, address] of [
      [await caller.port('lines'), caller.options.address],
      [lines, provider.options.address],
    ] as const) {
      const socket = connect(port, address)
      socket.write('hello\n')
      await once(socket, 'data')
      socket.destroy()
    }
  }

  /**
   * Istio's own proxies leave these empty too: a caller's side says `unknown` for the policy of its connections
   * (reference of Istio's standard metrics, `connection_security_policy`).
   */
  const isEmptyInIstio = (name: string): boolean => name.startsWith('workload to services, mutual TLS:')

  it('show data for every query of every panel and list, as they are', async () => {
    const [service] = (await caller
      .json('/ports?format=json')
      .then((page) => (page as { ports: { service: string }[] }).ports.map((row) => row.service))) as [string]
    const key = (name: string): string => service.replace(/@@.*/, `@@${name}`)
    const chosen = (reporter: Chosen['reporter']): Chosen => ({
      service: key('orders'),
      tcpService: key('lines'),
      reporter,
      workload: 'orders',
      namespace: 'public',
    })
    // nobody said who calls on the host of the caller
    const calls = { ...chosen('source'), workload: 'unknown', namespace: 'unknown' }
    const panels = [
      ...meshPanels,
      ...performancePanels,
      ...choices(chosen('destination')),
      ...servicePanels(chosen('destination')),
      ...servicePanels(chosen('source')).filter(({ name }) => /^service(, client)?:/.test(name)),
      ...workloadPanels(chosen('destination'), calls, 'lines'),
    ]
    expect(panels.length).to.be.above(100)
    await until(30_000, 'both hosts are scraped, again and again', async () => {
      await traffic()
      return (await prometheus!.query('count_over_time(up[1m]) > 4')).length === 2
    })
    let empty: string[] = []
    await until(60_000, 'data for every query', async () => {
      await traffic()
      const found = await Promise.all(panels.map(({ expr }) => prometheus!.query(expr)))
      empty = panels.flatMap(({ expr, name }, at) => (found[at]!.some(isNumber) ? [] : [`${name}: ${expr}`]))
      return empty.every(isEmptyInIstio)
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; no data: ${empty.join('\n')}`)
    })
    const known = await prometheus!.query('sum by (component, tag) (istio_build)')
    expect(known.map(({ metric }) => metric['component'])).to.deep.equal(['agent'])
  })

  it('name the calling workload where its certificate says who it is, and nobody where nothing does', async () => {
    const rows = await prometheus!.query(
      'sum by (source_workload, source_principal, connection_security_policy) (istio_requests_total{reporter="destination", destination_workload="orders"})',
    )
    expect(rows.map(({ metric }) => metric)).to.have.deep.members([
      { source_workload: 'caller', source_principal: idOf('caller'), connection_security_policy: 'mutual_tls' },
      { source_workload: 'unknown', source_principal: 'unknown', connection_security_policy: 'none' },
    ])
  })

  const isNumber = ({ value }: { readonly value: readonly [number, string] }): boolean =>
    Number.isFinite(Number(value[1]))
})
