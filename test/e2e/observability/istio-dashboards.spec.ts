import { expect } from 'chai'
import { once } from 'node:events'
import { connect } from 'node:net'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { meshPanels, outboundPanels, servicePanels, tcpPanels } from '../../support/observability/istio-panels.ts'
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

  /** Through both agents in mutual TLS, from outside in plain, and a raw connection. */
  async function traffic(): Promise<void> {
    expect((await callOrders()).status).to.equal(200)
    expect((await call(provider.options.address, orders)).status).to.equal(200)
    const socket = connect(await caller.port('lines'), caller.options.address)
    socket.write('hello\n')
    await once(socket, 'data')
    socket.destroy()
  }

  it('show data in every panel about services and workloads, as they are', async () => {
    const [service] = (await caller
      .json('/ports?format=json')
      .then((page) => (page as { ports: { service: string }[] }).ports.map((row) => row.service))) as [string]
    const key = (name: string): string => service.replace(/@@.*/, `@@${name}`)
    const panels = [
      ...meshPanels,
      ...servicePanels(key('orders'), 'orders', 'public'),
      ...outboundPanels(key('orders')),
      ...tcpPanels(key('lines')),
    ]
    await until(30_000, 'both hosts are scraped, again and again', async () => {
      await traffic()
      return (await prometheus!.query('count_over_time(up[1m]) > 4')).length === 2
    })
    let empty: string[] = []
    await until(60_000, 'data in every panel', async () => {
      await traffic()
      empty = []
      for (const { expr, name } of panels)
        if (!(await prometheus!.query(expr)).some(isNumber)) empty.push(`${name}: ${expr}`)
      return empty.length === 0
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; no data: ${empty.join('\n')}`)
    })
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
