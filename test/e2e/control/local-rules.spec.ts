import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stringify } from 'yaml'
import { call, Mesh, sharedPort, until, type DemoApplication, type DemoHost } from '../../support/mesh/mesh.ts'

const main = join(import.meta.dirname, '../../../cli/main.ts')

/** An entry that says by hand where a service is. */
const entry = (address: string, port: number) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'orders', namespace: 'public' },
  spec: {
    hosts: ['orders'],
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    resolution: 'STATIC',
    endpoints: [{ address, ports: { http: port } }],
  },
})

describe('rules that a host alone was told', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let host: DemoHost
  let usual: DemoApplication
  let other: DemoApplication

  before(async () => {
    mesh = await Mesh.openOnFiles()
    usual = await mesh.httpApplication('orders', 'usual')
    other = await mesh.httpApplication('orders', 'other')
    host = mesh.host('alpha', { applications: [] })
    mesh.tell('orders', [{ address: usual.address, port: usual.port }])
    host.start()
    await host.ready()
    await until(20_000, 'the registry answers', async () => (await version()) === 'usual')
  })

  after(() => mesh?.close())

  const version = async (): Promise<string> => {
    const answer = await call(host.options.address, sharedPort, { host: 'orders' })
    return /usual|other/.exec(answer.body)?.[0] ?? `${answer.status} ${answer.body}`
  }

  async function hostmesh(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawn(process.execPath, [main, ...words, '-c', host.configPath], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { code, out, err }
  }

  function file(name: string, ...resources: object[]): string {
    const path = join(mesh.directory, `${name}.yaml`)
    writeFileSync(path, resources.map((one) => stringify(one)).join('---\n'))
    return path
  }

  it('take effect at once, before those of the registry, and are marked wherever they are shown', async () => {
    const path = file('entry', entry(other.address, other.port))
    const applied = await hostmesh('rules', 'apply', path)
    expect(applied.code, applied.err).to.equal(0)
    expect(applied.out).to.contain('ServiceEntry public/orders is version 1 now')
    await until(20_000, 'the other one answers', async () => (await version()) === 'other')
    const rules = (await host.admin.get('/rules?format=json')).text
    expect(JSON.parse(rules)).to.satisfy((all: { rules: { source: string }[] } | { source: string }[]) =>
      JSON.stringify(all).includes('"source":"local"'),
    )
    const explained = await hostmesh('explain', 'http://orders/')
    expect(explained.out).to.contain('of this host')
    expect((await hostmesh('status')).out).to.match(/^local\t.*\nServiceEntry\tpublic\/orders\tapplied$/m)
  })

  it('stay over a hot restart and over a death of control', async () => {
    const reloaded = await hostmesh('reload')
    expect(reloaded.code, reloaded.err).to.equal(0)
    expect(await version()).to.equal('other')
    const pid = async () => ((await host.json('/server_info?format=hostmesh')) as { pid: number }).pid
    const killed = await pid()
    await host.signal('control', 'SIGKILL')
    await until(20_000, 'another control answers', async () => (await pid()) !== killed)
    expect(await version()).to.equal('other')
    const history = await hostmesh('rules', 'history', 'ServiceEntry', 'public/orders')
    expect(history.out).to.contain('admin socket')
  })

  it('are all written or none, with what is wrong with each', async () => {
    const good = { ...entry(usual.address, usual.port), metadata: { name: 'stock', namespace: 'public' } }
    const bad = {
      ...entry(usual.address, usual.port),
      metadata: { name: 'bad', namespace: 'public' },
      spec: { hots: [] },
    }
    const refused = await hostmesh('rules', 'apply', file('bad', good, bad))
    expect(refused.code).to.equal(3)
    expect(refused.err)
      .to.contain('ServiceEntry public/bad')
      .and.to.contain('hots')
      .and.to.contain('nothing was changed')
    expect(JSON.stringify((await host.admin.get('/rules?format=json')).text)).to.not.contain('public/stock')
  })

  it('go by themselves after their time, and by hand', async () => {
    const short = await hostmesh('rules', 'apply', file('short', entry(other.address, other.port)), '--ttl', '1s')
    expect(short.code, short.err).to.equal(0)
    await until(20_000, 'the time is over', async () => (await version()) === 'usual')
    const again = await hostmesh('rules', 'apply', file('again', entry(other.address, other.port)))
    expect(again.code, again.err).to.equal(0)
    await until(20_000, 'the other one answers', async () => (await version()) === 'other')
    const gone = await hostmesh('rules', 'delete', 'ServiceEntry', 'public/orders')
    expect(gone.code, gone.err).to.equal(0)
    await until(20_000, 'the registry counts again', async () => (await version()) === 'usual')
    const missing = await hostmesh('rules', 'delete', 'ServiceEntry', 'public/orders')
    expect(missing.code).to.not.equal(0)
    expect(missing.err).to.contain('not found')
    expect((await hostmesh('status')).out, 'of nothing that this host was told').to.not.match(/^local\t/m)
  })

  it('so does a port for a service: told, called, kept over a hot restart and a death, taken back', async () => {
    const added = await hostmesh('outbound', 'add', 'orders', '--json')
    expect(added.code, added.err).to.equal(0)
    const { address, port } = JSON.parse(added.out) as { address: string; port: number }
    const answers = async () => (await call(address, port, {})).status === 200
    await until(20_000, 'it answers', answers)
    expect((await hostmesh('status')).out).to.match(new RegExp(`^port\\tpublic/\\S*orders\\t${address}:${port}$`, 'm'))
    expect((await hostmesh('reload')).code).to.equal(0)
    expect(await answers()).to.equal(true)
    await host.signal('control', 'SIGKILL')
    await until(20_000, 'the next control knows it', async () =>
      (await hostmesh('outbound', 'list')).out.includes(`${address}:${port}`),
    )
    expect(await answers()).to.equal(true)
    const removed = await hostmesh('outbound', 'remove', 'orders')
    expect(removed.code, removed.err).to.equal(0)
    await until(20_000, 'nobody listens', () =>
      answers().then(
        (is) => !is,
        () => true,
      ),
    )
  })

  it('are told by the socket alone: the admin port of the machine has no such page', async () => {
    const { address } = host.options
    for (const path of ['/apis', '/apis/networking.istio.io/v1/namespaces/public/serviceentries'])
      expect((await call(address, 15_000, {}, path)).status).to.equal(404)
    const all = await host.admin.get('/apis/networking.istio.io/v1/serviceentries')
    expect(JSON.parse(all.text)).to.include({ kind: 'ServiceEntryList' })
  })
})
