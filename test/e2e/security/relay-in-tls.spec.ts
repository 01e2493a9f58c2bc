/**
 * The tiers of a mesh that speaks mutual TLS alone: a provider whose ports are STRICT, a center that takes named hosts
 * alone, and callers whose generation is dead.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'

import { counted, inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { Answer, DemoHost } from '../../support/mesh/mesh.ts'
import { Authority } from '../../support/tls/authority.ts'
import { IdentityFiles } from '../../support/tls/identity-files.ts'

const strict = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: all, namespace: default }
spec: { mtls: { mode: STRICT } }
`

describe('the tiers of a mesh that speaks mutual TLS alone', function () {
  this.timeout(240_000)
  const authority = new Authority()
  let mesh: Mesh
  let provider: DemoHost
  let center: DemoHost
  /** The center names it. */
  let named: DemoHost
  /** The center does not name it. */
  let other: DemoHost

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const address = mesh.address()
    const applications = [
      await mesh.httpApplication('orders', 'v1', address),
      await mesh.lineApplication('ledger', 'v1', address),
    ]
    const as = (name: string, id: string) =>
      new IdentityFiles(mesh.directory, name, authority).write(authority.leaf(`spiffe://mesh.test/${id}`)).section
    provider = mesh.host('provider', { applications, extra: { tls: as('provider', 'ns/default/sa/provider') } })
    mkdirSync(join(provider.options.directory, 'rules.d'), { recursive: true })
    writeFileSync(join(provider.options.directory, 'rules.d', 'strict.yaml'), strict)
    const relay = {
      address: `${mesh.address()}:15443`,
      allowedNetworks: ['127.0.0.0/8'],
      mtls: 'strict',
      hosts: ['named'],
    }
    center = mesh.host('center', { role: 'center', extra: { relay, tls: as('center', 'center') } })
    const outbound = [
      { service: 'orders', protocol: 'http' },
      { service: 'ledger', protocol: 'tcp' },
    ] as const
    const caller = (name: string): DemoHost =>
      mesh.host(name, {
        outbound,
        extra: { tls: as(name, `host/${name}`), center: { addresses: [relay.address], mtls: true } },
      })
    named = caller('named')
    other = caller('other')
    provider.start()
    await provider.ready()
    for (const { service } of applications) {
      const metadata = { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'strict' }
      const endpoints = [{ address, port: await inboundPort(provider, service), metadata }]
      mesh.tell(service, endpoints)
    }
    for (const host of [center, named, other]) host.start()
    await Promise.all([center, named, other].map((host) => host.ready(60_000)))
    for (const host of [named, other])
      await until(30_000, 'orders is reachable', async () => (await orders(host)).status === 200)
  })

  after(async () => {
    await mesh?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const orders = async (host: DemoHost): Promise<Answer> => call(host.options.address, await host.port('orders'))

  /** What comes back for one line to `ledger`; '' = the connection ended without a word. */
  function line(host: DemoHost, port: number): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect({ host: host.options.address, port })
      let got = ''
      socket.on('data', (bytes) => {
        got += bytes.toString()
        if (got.includes('\n')) socket.end()
      })
      socket.on('error', () => {}).once('close', () => resolve(got))
      socket.write('hello\n')
    })
  }

  interface Seen {
    readonly own: Answer
    readonly shared: Answer
    readonly line: string
  }

  async function withoutGeneration(host: DemoHost): Promise<Seen> {
    const { address } = host.options
    const [http, tcp] = [await host.port('orders'), await host.port('ledger')]
    // named once, so that the shared port knows the name also without a worker
    await call(address, sharedPort, { host: 'orders' })
    // no control comes up before all have called: what it reads is broken
    const configuration = readFileSync(host.configPath, 'utf8')
    writeFileSync(host.configPath, `${configuration}nonsense: [\n`)
    await host.signal('generation', 'SIGKILL')
    await until(30_000, 'the relay accepts', async () => (await host.watchdogState()).relay.isRelaying)
    const [own, shared, said] = await Promise.all([
      call(address, http),
      call(address, sharedPort, { host: 'orders' }),
      line(host, tcp),
    ])
    writeFileSync(host.configPath, configuration)
    await host.ready()
    return { own, shared, line: said }
  }

  it('a host that the center names is served by it, HTTP and TCP, in mutual TLS on both parts of the way', async () => {
    const seen = await withoutGeneration(named)
    for (const answer of [seen.own, seen.shared]) {
      expect(answer.status).to.equal(200)
      expect(answer.headers['x-mesh-tier']).to.equal('center')
    }
    expect(seen.line).to.include('hello')
    expect((await named.watchdogState()).relay.connections).to.include({ center: 3, direct: 0, failed: 0 })
    const by = (host: DemoHost, id: string): Promise<number> =>
      counted(host, 'hostmesh_inbound_connections_total', 'mutual_tls', `caller="spiffe://mesh.test/${id}"`)
    expect(await by(center, 'host/named')).to.be.above(2)
    expect(await by(provider, 'center')).to.be.above(0)
  })

  it('a host that it does not name is refused, and goes no other way: neither in plain nor around the center', async () => {
    const seen = await withoutGeneration(other)
    for (const { body, headers } of [seen.own, seen.shared]) {
      expect(headers['x-mesh-error']).to.be.oneOf(['E_UPSTREAM_RESET', 'E_CENTER_UNREACHABLE'])
      expect(body).to.not.include('v1')
    }
    expect(seen.line).to.equal('')
    expect((await other.watchdogState()).relay.connections.direct).to.equal(0)
    expect(await counted(center, 'hostmesh_relay_refused_hosts_total')).to.be.above(0)
    await until(30_000, 'its workers serve again', async () => (await orders(other)).status === 200)
  })

  it('a host whose certificate the watchdog cannot use says so, and its center is not called', async () => {
    const file = join(named.stateDir, 'relay-identity.json')
    rmSync(file)
    mkdirSync(file)
    await until(30_000, 'seen', async () => (await named.watchdogState()).relay.targetsProblem !== undefined)
    expect((await named.watchdogState()).relay.targetsProblem).to.include('relay-identity.json')
    const { own, line: said } = await withoutGeneration(named)
    expect(own.headers['x-mesh-error']).to.equal('E_CENTER_UNREACHABLE')
    expect(said).to.equal('')
    rmSync(file, { recursive: true })
  })

  it('and over all of this nobody came to the provider or to the center in plain', async () => {
    const plain = 'security="none"'
    expect(await counted(provider, 'hostmesh_inbound_connections_total', plain)).to.equal(0)
    expect(await counted(center, 'hostmesh_inbound_connections_total', plain)).to.equal(0)
  })

  it('a dead provider is not gone around: callers wait for its workers, as long as they wait for a connection', async () => {
    await provider.signal('generation', 'SIGKILL')
    let answer = await orders(named)
    if (answer.status !== 200) expect(answer.headers['x-mesh-error']).to.match(/^E_CONNECT_(FAILED|TIMEOUT)$/)
    await until(30_000, 'served again', async () => (answer = await orders(named)).status === 200)
    expect(answer.headers['x-mesh-tier']).to.equal('agent')
    expect((await provider.watchdogState()).relay.connections.direct).to.equal(0)
  })
})
