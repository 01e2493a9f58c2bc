import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import type { MtlsPort } from '../../../contracts/mtls-view.ts'

import { policy } from '../../support/authorization.ts'
import { keepAliveLoad } from '../../support/continuity/callers.ts'
import { EchoApplication, LongCalls } from '../../support/http2/long-streams.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { counted, inboundPort } from '../../support/mesh/host-facts.ts'
import { Authority } from '../../support/tls/authority.ts'
import { IdentityFiles } from '../../support/tls/identity-files.ts'
import { certificateOf, TlsLoad } from '../../support/tls/tls-callers.ts'

const idOf = (account: string) => `spiffe://mesh.test/ns/default/sa/${account}`

describe('mutual TLS between whole hosts', function () {
  this.timeout(120_000)
  const authority = new Authority()
  let mesh: Mesh
  let provider: DemoHost
  let caller: DemoHost
  let orders: number
  let lines: number
  const echo = new EchoApplication()

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const address = mesh.address()
    const applications = [
      await mesh.httpApplication('orders', 'v1', address),
      await mesh.lineApplication('lines', 'v1', address),
      {
        service: 'echo',
        version: 'v1',
        protocol: 'grpc' as const,
        address,
        port: await echo.start(address),
        close: async () => echo.close(),
      },
    ]
    provider = mesh.host('provider', { applications, extra: { workers: 2, tls: files('provider').section } })
    caller = mesh.host('caller', {
      outbound: [
        { service: 'orders', protocol: 'http' },
        { service: 'lines', protocol: 'tcp' },
        { service: 'echo', protocol: 'grpc' },
      ],
      extra: { tls: files('caller').section },
    })
    files('provider').write(authority.leaf(idOf('provider')))
    files('caller').write(authority.leaf(idOf('caller')))
    provider.start()
    await provider.ready()
    orders = await inboundPort(provider, 'orders')
    lines = await inboundPort(provider, 'lines')
    announce('orders', orders)
    announce('lines', lines)
    announce('echo', await inboundPort(provider, 'echo'))
    caller.start()
    await caller.ready()
    await until(30_000, 'orders is reachable', async () => (await callOrders()).status === 200)
  })

  after(async () => {
    echo.close()
    await mesh?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const files = (name: string) => new IdentityFiles(mesh.directory, name, authority)

  function announce(service: string, port: number): void {
    const metadata = { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'permissive' }
    const endpoints = [{ address: provider.options.address, port, metadata }]
    mesh.tell(service, endpoints)
  }

  const callOrders = async () => call(caller.options.address, await caller.port('orders'))

  const connections = (...labels: string[]) => counted(provider, 'hostmesh_inbound_connections_total', ...labels)

  it('is what an agent speaks with another one that takes it, and each says who it is', async () => {
    expect((await callOrders()).status).to.equal(200)
    await until(
      30_000,
      'counted',
      async () => (await connections('orders', 'security="mutual_tls"', `caller="${idOf('caller')}"`)) > 0,
    )
    expect(await connections('security="none"')).to.equal(0)
    expect(await counted(caller, 'hostmesh_tls_handshakes_total', 'role="client"', 'result="ok"')).to.be.above(0)
  })

  it('leaves the port open to callers in plain, whose address is counted', async () => {
    expect((await call(provider.options.address, orders)).status).to.equal(200)
    await until(30_000, 'counted', async () => (await connections('security="none"', 'caller="127.')) === 1)
  })

  it('is planned by who would be shut out, which the command names', async () => {
    const plan = async (): Promise<{ code: number | null; rows: (MtlsPort & { verdict: string })[] }> => {
      const words = ['mtls', 'plan', '--json', '-c', provider.configPath]
      const child = spawn(process.execPath, ['cli/main.ts', ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
      return { code, rows: JSON.parse(said) as (MtlsPort & { verdict: string })[] }
    }
    const { code, rows } = await plan()
    expect(code).to.equal(1)
    expect(rows.map(({ service, mode }) => `${service} ${mode}`)).to.have.members([
      'echo permissive',
      'lines permissive',
      'orders permissive',
    ])
    const row = rows.find(({ service }) => service === 'orders')!
    expect(row.mutual).to.be.above(0)
    expect(row.verdict).to.match(/^would shut out 127\.[\d.]+ \(1\)$/)
    expect(rows.find(({ service }) => service === 'lines')!.verdict).to.equal('nobody called')
  })

  it('goes on over hot restarts of both hosts: no request lost, no connection closed', async () => {
    const leaf = authority.leaf(idOf('tester'))
    const target = { host: provider.options.address, authority, leaf }
    const loads = [
      await TlsLoad.http({ ...target, port: orders, protocol: 'http/1.1' }, 32),
      await TlsLoad.lines({ ...target, port: lines, protocol: 'hostmesh' }, 32),
    ]
    const through = await keepAliveLoad(await caller.port('orders'), 16, '/', { host: caller.options.address })
    const calls = new LongCalls(await caller.port('echo'), 8, 4, caller.options.address)
    calls.begin(10)
    for (let round = 0; round < 3; round++) {
      const { least } = calls
      await eventually(() => calls.least > least || calls.faults.length > 0)
      expect(await provider.reload()).to.equal('done')
      expect(await caller.reload()).to.equal('done')
    }
    expect([await calls.end(), echo.faults, calls.goneAway], 'calls of gRPC').to.deep.equal([[], [], 0])
    expect(await connections('echo', 'security="mutual_tls"', `caller="${idOf('caller')}"`)).to.be.above(0)
    calls.close()
    const { answered, failures } = await through.stop()
    expect(failures).to.deep.equal([])
    expect(answered).to.be.above(100)
    for (const load of loads) {
      await load.stop()
      expect(load.failures).to.deep.equal([])
      expect(load.answered).to.be.above(100)
    }
    expect(await counted(provider, 'hostmesh_tls_connection_errors_total', 'role="server"', 'sent_')).to.equal(0)
  })

  it('waits for the workers where a generation died: no caller in TLS or in plain fails, and none gets past it', async () => {
    const before = (await provider.watchdogState()).relay.connections
    const refused = await counted(provider, 'hostmesh_tls_handshakes_total', 'result="no_identity"')
    await provider.signal('generation', 'SIGKILL')
    const answers = await Promise.all([callOrders(), callOrders(), call(provider.options.address, orders)])
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200])
    expect((await provider.watchdogState()).relay.connections).to.deep.equal(before)
    await provider.ready()
    expect(await counted(provider, 'hostmesh_tls_handshakes_total', 'result="no_identity"')).to.equal(refused)
  })

  it('has policies go by who it proved the caller is, whatever a caller in plain says', async () => {
    const file = join(provider.options.directory, 'rules.d', 'callers.yaml')
    const only = (account: string): string =>
      policy(
        `selector: { matchLabels: { app: orders } }\nrules: [{ from: [{ source: { principals: [mesh.test/ns/default/sa/${account}] } }] }]`,
        'callers',
        'default',
      )
    writeFileSync(file, only('caller'))
    const forged = { 'x-mesh-source': 'caller', 'x-forwarded-client-cert': `By=x;URI=${idOf('caller')}` }
    const plain = async () => call(provider.options.address, orders, forged)
    await until(30_000, 'plain is refused', async () => (await plain()).status === 403)
    expect((await callOrders()).status).to.equal(200)
    writeFileSync(file, only('somebody'))
    await until(30_000, 'the caller is refused', async () => (await callOrders()).status === 403)
    rmSync(file)
    await until(30_000, 'both are let in again', async () => (await plain()).status === 200)
    expect((await callOrders()).status).to.equal(200)
  })

  it('with STRICT takes nothing else: plain HTTP is told so, and a dead generation is not gone around', async () => {
    const rules = join(provider.options.directory, 'rules.d', 'strict.yaml')
    writeFileSync(
      rules,
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: all, namespace: default }\nspec: { mtls: { mode: STRICT } }\n',
    )
    const plain = async () => call(provider.options.address, orders)
    await until(30_000, 'plain is refused', async () => (await plain()).status === 400)
    const { body, headers } = await plain()
    expect(headers['x-mesh-error']).to.equal('E_TLS_REQUIRED')
    expect(body).to.include('mutual TLS alone')
    expect((await callOrders()).status).to.equal(200)
    const targets = () => readFileSync(join(provider.stateDir, 'relay-targets.json'), 'utf8')
    await until(30_000, 'the relay has no way there', async () => !targets().includes('@@orders 127.'))
    const snapshot = () => readFileSync(join(provider.stateDir, 'snapshot.json'), 'utf8')
    await until(30_000, 'a start without control knows it', async () => snapshot().includes('"mtls":"strict"'))
    await provider.signal('generation', 'SIGKILL')
    const { headers: later } = await plain()
    expect(later['x-mesh-error']).to.equal('E_TLS_REQUIRED')
    await provider.ready()
    await until(30_000, 'TLS goes on', async () => (await callOrders()).status === 200)
    rmSync(rules)
    await until(30_000, 'plain is taken again', async () => (await plain()).status === 200)
  })

  it('uses a new certificate for the next handshake, and new roots with it; connections go on', async () => {
    const leaf = authority.leaf(idOf('tester'))
    const target = { host: provider.options.address, port: orders, authority, leaf, protocol: 'http/1.1' }
    const load = await TlsLoad.http(target, 4)
    const next = authority.leaf(idOf('provider'))
    files('provider').write(next)
    await until(30_000, 'the new certificate serves', async () => (await certificateOf(target)) === next.certificate)
    await load.stop()
    expect(load.failures).to.deep.equal([])
  })
})
