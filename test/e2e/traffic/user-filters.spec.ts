/** Filters of users on a whole host: from the configuration to the application, and one that holds its worker up. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { counted } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { Answer, DemoHost } from '../../support/mesh/mesh.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { resource } from '../../support/routing.ts'

/** Blocks on one path, and throws where nobody waits on another. */
const dangerous = `export default () => ({
  onRequestHead(request) {
    if (request.path === '/blocks') for (;;) {}
    if (request.path === '/strays') setImmediate(() => { throw new Error('stray bug') })
  },
})`

/** Blocks when nobody waits for its call any more. */
const late = `export default () => ({
  async onRequestHead(request) {
    if (request.path !== '/late') return
    await undefined
    for (;;) {}
  },
})`

describe('filters of users on a whole host', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  const ports: Record<string, number> = {}

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const folder = join(mesh.directory, 'filters')
    mkdirSync(folder, { mode: 0o700 })
    writeFileSync(join(folder, 'team.mjs'), readFileSync('examples/filters/team.mjs'), { mode: 0o600 })
    writeFileSync(join(folder, 'dangerous.mjs'), dangerous, { mode: 0o600 })
    writeFileSync(join(folder, 'late-2.mjs'), late, { mode: 0o600 })
    symlinkSync('late-2.mjs', join(folder, 'late.mjs'))
    const applications = [await mesh.httpApplication('orders', 'v1'), await mesh.httpApplication('ledger', 'v1')]
    const filters = [
      { name: 'team', path: join(folder, 'team.mjs'), settings: { teams: ['blue'] } },
      { name: 'dangerous', path: join(folder, 'dangerous.mjs') },
      { name: 'late', path: join(folder, 'late.mjs') },
    ]
    host = mesh.host('host', {
      applications,
      outbound: [{ service: 'orders', protocol: 'http' }],
      extra: { filters },
    })
    Object.assign(host.options, {
      rules: [
        resource(
          'MeshPolicy',
          'hosts: [orders]\nfilters: [{ name: team, side: Inbound }, { name: late, side: Inbound }]',
          'orders',
        ),
        resource('MeshPolicy', 'hosts: [ledger]\nfilters: [{ name: dangerous, side: Inbound }]', 'ledger'),
      ].join('---\n'),
    })
    host.start()
    await host.ready()
    for (const name of ['orders', 'ledger']) ports[name] = await inboundPort(host, name)
    mesh.tell('orders', [{ address: host.options.address, port: ports['orders'] }])
    await until(30_000, 'judged', async () => (await ask('orders', '/')).status === 403)
  })

  after(async () => {
    await mesh?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const ask = (name: string, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    call(host.options.address, ports[name]!, headers, path)
  const stateOf = async (name: string): Promise<{ state: string; why: string } | undefined> => {
    const { filters } = (await host.json('/filters?format=json')) as {
      filters: { name: string; state: string; why: string }[]
    }
    return filters.find((one) => one.name === name)
  }

  it('judge requests and change replies, as the documentation says', async () => {
    expect((await ask('orders', '/', { 'x-team': 'red' })).body).to.equal('no team red\n')
    const { headers, status } = await ask('orders', '/', { 'x-team': 'blue' })
    expect(status).to.equal(200)
    expect(headers['x-took']).to.match(/^\d+ ms$/)
    expect(await stateOf('team')).to.include({ state: 'on' })
  })

  it('judge callers of the same host too', async () => {
    const port = await host.port('orders')
    await until(30_000, 'known', async () => (await call(host.options.address, port)).status !== 503)
    expect((await call(host.options.address, port, { 'x-team': 'red' })).body).to.equal('no team red\n')
  })

  it('that throw where nobody waits cost no worker', async () => {
    expect((await ask('ledger', '/strays')).status).to.equal(200)
    await until(
      30_000,
      'counted',
      async () => (await counted(host, 'hostmesh_filter_failures_total', 'kind="stray"')) === 1,
    )
    expect((await ask('orders', '/', { 'x-team': 'blue' })).status).to.equal(200)
  })

  it('that do not return cost a worker once: its successor does without them and says so', async () => {
    const blocked = ask('ledger', '/blocks').catch(() => undefined)
    // nobody goes around a filter that may refuse while there is no worker to ask it
    const statuses = new Set<number | undefined>()
    let isOver = false
    const strangers = (async () => {
      while (!isOver) statuses.add((await ask('orders', '/').catch(() => undefined))?.status)
    })()
    await until(60_000, 'off', async () => (await stateOf('dangerous'))?.state === 'off')
    await blocked
    isOver = true
    await strangers
    statuses.delete(undefined)
    expect([...statuses]).to.deep.equal([403])
    expect((await stateOf('dangerous'))!.why).to.match(/^it held a worker up/)
    await until(30_000, 'served again', async () => (await ask('orders', '/', { 'x-team': 'blue' })).status === 200)
    const { headers, status } = await ask('ledger', '/blocks')
    expect([status, headers['x-mesh-error']]).to.deep.equal([503, 'E_FILTER_FAILED'])
    expect(mesh.report()).to.include('filter dangerous holds this worker up')
  })

  it('that do not return behind an await cost a worker once, too', async () => {
    const blocked = ask('orders', '/late', { 'x-team': 'blue' }).catch(() => undefined)
    await until(60_000, 'off', async () => (await stateOf('late'))?.state === 'off')
    await blocked
    const { headers, status } = await ask('orders', '/late', { 'x-team': 'blue' })
    expect([status, headers['x-mesh-error']]).to.deep.equal([503, 'E_FILTER_FAILED'])
    expect(mesh.report()).to.match(/filter late holds this worker up \(\d+ ms behind an await\)/)
  })
})
