import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { resource } from '../../support/routing.ts'

/** Which service a name and a port mean, through a running agent. */
describe('names and ports of callers', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let directory: string
  const servers: Server[] = []

  const serve = async (name: string): Promise<number> => {
    const server = createServer((_incoming, response) => response.end(name))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  const ask = (authority: string) => call(host.options.address, sharedPort, { host: authority })
  const write = (name: string, text: string): void => writeFileSync(join(host.options.directory, 'rules.d', name), text)
  const entry = (hosts: string, ports: string, name: string): string =>
    resource(
      'ServiceEntry',
      `hosts: [${hosts}]\nports: ${ports}\nresolution: STATIC\nendpoints: [{ address: 127.0.0.1 }]`,
      name,
    )

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hostmesh-names-'))
    mkdirSync(join(directory, 'registry'))
    mesh = await Mesh.open([{ name: 'main', type: 'file', directory: join(directory, 'registry') }])
    host = await mesh.startedHost('alpha')
  })
  after(async () => {
    await mesh.close()
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    rmSync(directory, { recursive: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh.report())
  })

  it('a service entry with several ports goes by the port that is dialled; another one is no match', async () => {
    const [a, b] = [await serve('a'), await serve('b')]
    write(
      'ports.yaml',
      entry(
        'ports.example.com',
        `[{ number: 80, name: a, protocol: HTTP, targetPort: ${a} }, { number: 8081, name: b, protocol: http, targetPort: ${b} }]`,
        'ports',
      ),
    )
    await until(30_000, 'the entry answers', async () => (await ask('ports.example.com')).body === 'a')
    for (let round = 0; round < 10; round++) {
      expect((await ask('ports.example.com:8081')).body).to.equal('b')
      expect((await ask('ports.example.com:80')).body).to.equal('a')
    }
    const other = await ask('ports.example.com:9999')
    expect([other.status, other.headers['x-mesh-error']]).to.deep.equal([404, 'E_ROUTE_NONE'])
  })

  it('a wildcard never takes the name of an exact rule, though it was called first', async () => {
    const [wide, exact] = [await serve('wide'), await serve('exact')]
    const port = (of: number): string => `[{ number: 80, name: http, protocol: HTTP, targetPort: ${of} }]`
    write(
      'names.yaml',
      `${entry('"*.shop.example.com"', port(wide), 'wide')}---\n${entry('pay.shop.example.com', port(exact), 'exact')}`,
    )
    await until(30_000, 'the wildcard answers', async () => (await ask('a.shop.example.com')).body === 'wide')
    expect((await ask('pay.shop.example.com')).body, 'nobody asked for it yet').to.equal('exact')
    expect((await ask('b.shop.example.com')).body).to.equal('wide')
  })

  it('a service whose name has capitals is reached by Host, in any case', async () => {
    const port = await serve('capital')
    writeFileSync(
      join(directory, 'registry', 'orders.yaml'),
      `service: OrderService\nendpoints: [{ address: 127.0.0.1, port: ${port} }]\n`,
    )
    await until(30_000, 'the service answers', async () => (await ask('OrderService')).body === 'capital')
    expect((await ask('orderservice')).body).to.equal('capital')
    expect((await ask('ORDERSERVICE:80')).body).to.equal('capital')
  })

  it('an entry never leads to a metadata service or a link-local address', async () => {
    const forbidden =
      '[{ address: 169.254.169.254 }, { address: "fd00:ec2::254" }, { address: "::ffff:100.100.100.200" }]'
    write(
      'metadata.yaml',
      resource(
        'ServiceEntry',
        `hosts: [meta.example.com]\nports: [{ number: 80, name: http, protocol: HTTP }]\nresolution: STATIC\nendpoints: ${forbidden}`,
        'meta',
      ),
    )
    await until(
      30_000,
      'the entry is known',
      async () => (await ask('meta.example.com')).headers['x-mesh-error'] === 'E_BALANCE_NO_ENDPOINT',
    )
  })
})
