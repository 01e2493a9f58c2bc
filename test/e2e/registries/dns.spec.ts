/** A host that finds services by DNS: as a registry, and for the names of a ServiceEntry. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type DemoApplication, type DemoHost, Mesh, call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { a, srv, startNameServer } from '../../support/dns/server.ts'
import type { NameServerDouble } from '../../support/dns/server.ts'

const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: bank }
spec:
  hosts: [bank.example.com]
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: PORT }]
  resolution: DNS
`

describe('a host that asks name servers', function () {
  this.timeout(240_000)
  let names: NameServerDouble
  let mesh: Mesh
  let host: DemoHost
  let one: DemoApplication
  let two: DemoApplication

  before(async () => {
    names = await startNameServer()
    const servers = [`127.0.0.1:${names.port}`]
    mesh = await Mesh.open([
      { name: 'names', type: 'dns', servers, query: '{service}.service.consul', minRefresh: '1s' },
    ])
    one = await mesh.httpApplication('orders', 'v1')
    two = await mesh.httpApplication('orders', 'v2')
    point('orders.service.consul', one)
    names.set('bank.example.com', { records: [a('bank.example.com', one.address, 1)] })
    host = mesh.host('alpha', {
      outbound: [{ service: 'orders', protocol: 'http' }],
      extra: { dns: { servers, minRefresh: '1s' }, watchdog: { startDeadline: '120s', probeTimeout: '10s' } },
    })
    host.start()
    await host.ready(120_000)
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })
  after(async () => {
    await (mesh as Mesh | undefined)?.close()
    await names.stop()
  })

  const point = (name: string, application: DemoApplication): void => {
    names.set('target.example.com', { records: [a('target.example.com', application.address, 1)] })
    names.set(name, { records: [srv(name, 'target.example.com', application.port, { ttl: 1 })] })
  }
  const version = async (port: number, headers: Record<string, string> = {}): Promise<string> =>
    /v\d/.exec((await call(host.options.address, port, headers)).body)?.[0] ?? 'none'

  it('calls what SRV records name, follows a change within its time, and keeps calling while nobody answers', async () => {
    const port = await host.port('orders')
    await until(60_000, 'orders answers', async () => (await version(port)) === 'v1')
    point('orders.service.consul', two)
    await until(60_000, 'orders moved', async () => (await version(port)) === 'v2')
    names.isSilent = true
    await until(60_000, 'the loss is seen', async () => !(await isConnected(host)))
    for (let turn = 0; turn < 20; turn++) expect(await version(port)).to.equal('v2')
    names.isSilent = false
    await until(60_000, 'the registry is connected', () => isConnected(host))
  })

  it('calls what the name of a ServiceEntry resolves to, follows it, and keeps it while the name is broken', async () => {
    writeFileSync(join(host.options.directory, 'rules.d', 'bank.yaml'), entry.replace('PORT', String(one.port)))
    const bank = (): Promise<string> => version(sharedPort, { host: 'bank.example.com' })
    await until(60_000, 'the bank answers', async () => (await bank()) === 'v1')
    names.set('bank.example.com', { rcode: 'SERVFAIL' })
    const asked = names.questions.length
    await until(60_000, 'it was asked again', async () => names.questions.slice(asked).includes('bank.example.com A'))
    for (let turn = 0; turn < 20; turn++) expect(await bank()).to.equal('v1')
    names.set('bank.example.com', { records: [a('bank.example.com', '169.254.169.254', 0)] })
    await until(
      60_000,
      'the metadata service is refused',
      async () =>
        ((await call(host.options.address, sharedPort, { host: 'bank.example.com' })).headers['x-mesh-error'] ?? '') ===
        'E_BALANCE_NO_ENDPOINT',
    )
    await until(20_000, 'the log says why', async () => mesh.report().includes('is refused (link-local)'))
  })
})

async function isConnected(host: DemoHost): Promise<boolean> {
  const { text } = await host.admin.get('/server_info?format=hostmesh')
  return (JSON.parse(text) as { registries: { connected: boolean }[] }).registries.every(({ connected }) => connected)
}
