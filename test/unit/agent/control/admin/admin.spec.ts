import { expect } from 'chai'
import { createServer } from 'node:http'
import { request, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { StatSeries, WorkerQuestion } from '../../../../../contracts/control-link.ts'
import { adminPages } from '../../../../../agent/control/admin/pages.ts'
import { AdminServer } from '../../../../../agent/control/admin/server.ts'
import { StatsMerger } from '../../../../../agent/control/admin/stats.ts'
import type { AdminContext } from '../../../../../agent/control/admin/context.ts'
import { cuttable } from '../../../../../agent/control/core/registries/cuttable.ts'
import { openBench, type Bench } from '../support/control-bench.ts'
import { endpoint, fakeRegistry, recordingLog } from '../support/fake-registry.ts'
import type { FakeWorker } from '../support/fake-worker.ts'

interface Reply {
  status: number
  text: string
  headers: IncomingHttpHeaders
}

function call(
  target: { port: number } | { socketPath: string },
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', ...target, method, path, headers, agent: false }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('end', () => resolve({ status: incoming.statusCode!, text, headers: incoming.headers }))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const requests = (value: number): StatSeries => ({
  name: 'istio_requests_total',
  kind: 'counter',
  help: 'requests',
  labelNames: ['response_code'],
  samples: [{ labels: ['200'], value }],
})

describe('the admin interface', () => {
  let bench: Bench
  let server: AdminServer
  let port: number
  let metricsPort: number
  let context: AdminContext
  let level = 'info'
  let hasQuit = false
  const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

  beforeEach(async () => {
    const registry = fakeRegistry('main')
    const cut = cuttable(registry, () => 0)
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } }, { adapters: [cut] })
    hasQuit = false
    context = {
      control: bench.control,
      metrics: bench.control.deps.metrics,
      stats: new StatsMerger(),
      registries: [cut],
      continuity: () => undefined,
      version: '1.2.3',
      startedAt: 0,
      faults: () => [],
      logLevel: { get: () => level, set: (wanted) => void (level = wanted) },
      drainSwitch: { isFailed: false },
      quit: () => void (hasQuit = true),
    }
    registry.say(orders, [endpoint('10.0.0.9:80')])
    server = new AdminServer(adminPages(context), recordingLog())
    port = await server.listen('admin', { host: '127.0.0.1', port: 0 })
    metricsPort = await server.listen('metrics', { host: '127.0.0.1', port: 0 })
  })
  afterEach(async () => {
    await server.close()
    await bench.close()
  })

  const get = (path: string, headers: Record<string, string> = {}) => call({ port }, 'GET', path, headers)
  const post = (path: string, body?: unknown) =>
    call(
      { port },
      'POST',
      path,
      { 'content-type': 'application/json' },
      body === undefined ? undefined : JSON.stringify(body),
    )
  const json = async (path: string): Promise<Record<string, unknown>> =>
    JSON.parse((await get(path)).text) as Record<string, unknown>

  async function worker(): Promise<FakeWorker> {
    const made = bench.worker()
    await made.until(() => bench.control.readiness.pending().length === 0, 'readiness')
    return made
  }

  it('says by name what is pending, and 200 when nothing is', async () => {
    const before = await get('/ready?format=json')
    expect(before.status).to.equal(503)
    expect(JSON.parse(before.text)).to.deep.include({ ready: false, pending: ['worker 0: has no snapshot yet'] })
    await worker()
    const after = await get('/ready')
    expect(after.status).to.equal(200)
    expect(after.text).to.match(/^LIVE\n/)
  })

  it('never changes anything by GET: every page that does is POST or DELETE, and GET of it is 405', async () => {
    const changing = adminPages(context).filter((page) => page.method !== 'GET')
    expect(changing.map((page) => page.path)).to.include.members(['/quitquitquit', '/drain_listeners', '/logging'])
    const readable = new Set(
      adminPages(context)
        .filter((page) => page.method === 'GET')
        .map((page) => page.path),
    )
    for (const { path } of changing.filter((page) => !readable.has(page.path))) {
      const reply = await get(path)
      expect(reply.status, path).to.equal(405)
      expect(reply.text).to.contain('GET never changes anything')
    }
    expect(hasQuit).to.equal(false)
  })

  it('refuses what a foreign web page can make a browser send', async () => {
    const cases: [string, Record<string, string>][] = [
      ['/ready', { host: 'evil.example.com' }],
      ['/ready', { host: `admin.internal:${port}` }],
      ['/config_dump', { origin: 'http://evil.example.com' }],
      ['/config_dump', { origin: 'null' }],
      ['/config_dump', { 'sec-fetch-site': 'cross-site' }],
    ]
    for (const [path, headers] of cases)
      expect((await get(path, headers)).status, JSON.stringify(headers)).to.equal(403)
    const form = await call({ port }, 'POST', '/quitquitquit', { 'content-type': 'text/plain' }, 'x=1')
    expect(form.status).to.equal(415)
    const bare = await call({ port }, 'POST', '/logging?level=debug', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect(bare.status).to.equal(415)
    expect(level).to.equal('info')
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
      expect((await get('/help', { host })).status, host).to.equal(200)
  })

  it('answers on a unix socket that only its owner can open, and takes the place of an old one', async () => {
    const path = join(bench.folder, 'run', 'admin.sock')
    await server.listenSocket(path)
    const inode = statSync(path).ino
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    const successor = new AdminServer(adminPages(context), recordingLog())
    await successor.listenSocket(path)
    expect(statSync(path).ino).to.not.equal(inode)
    await server.close()
    expect((await call({ socketPath: path }, 'GET', '/help', { host: 'anything' })).status).to.equal(200)
    await successor.close()
    expect(statSync(path, { throwIfNoEntry: false })).to.equal(undefined)
  })

  it('names the nearest page for one that does not exist', async () => {
    const reply = await get('/config_dmup')
    expect(reply.status).to.equal(404)
    expect(reply.text).to.contain('nearest: /config_dump')
  })

  it('dumps configuration and snapshot with secrets masked', async () => {
    bench.writeConfig({
      registries: [{ name: 'main', type: 'nacos', servers: ['127.0.0.1:8848'] }],
      outbound: { services: [{ service: 'orders' }] },
    })
    bench.writeFile('services.d/web.yaml', {
      service: 'web',
      port: 8080,
      check: { off: true },
      metadata: { version: 'v1' },
    })
    bench.control.reload()
    const dump = await json('/config_dump')
    expect(JSON.stringify(dump)).to.contain('"orders"')
    const { listeners } = dump['snapshot'] as { listeners: object }
    expect(Object.keys(listeners)).to.include('outbound public/DEFAULT_GROUP@@orders')
    const services = await json('/config_dump?resource=services')
    expect(Object.keys(services)).to.include('public/DEFAULT_GROUP@@orders')
    expect(await json('/config_dump?resource=everything')).to.have.property('error')
  })

  it('adds up the metrics of all workers, and keeps those of a dead one so that no counter falls', async () => {
    const first = await worker()
    const second = bench.worker({ index: 1, pid: 4712 })
    await second.until(() => second.wholes === 1, 'second worker')
    const stats = (value: number) => (question: WorkerQuestion) =>
      question.kind === 'stats' ? { series: [requests(value)] } : []
    first.answer = stats(5)
    second.answer = stats(7)
    expect((await get('/stats/prometheus')).text).to.contain('istio_requests_total{response_code="200"} 12')
    second.close()
    await first.until(() => bench.control.publisher.states().length === 1, 'one worker left')
    expect((await get('/stats/prometheus')).text).to.contain('istio_requests_total{response_code="200"} 12')
    first.answer = stats(6)
    const third = bench.worker({ index: 1, pid: 4713 })
    third.answer = stats(1)
    await third.until(() => third.wholes === 1, 'third worker')
    expect((await get('/stats/prometheus')).text).to.contain('istio_requests_total{response_code="200"} 14')
  })

  it('shows metrics and nothing else on the metrics port', async () => {
    await worker()
    const metrics = await call({ port: metricsPort }, 'GET', '/metrics', { host: 'prometheus.example.com' })
    expect(metrics.status).to.equal(200)
    expect(metrics.text).to.contain('# TYPE hostmesh_ready gauge')
    expect(metrics.text).to.contain('hostmesh_ready 1')
    for (const path of ['/config_dump', '/quitquitquit', '/ready'])
      expect((await call({ port: metricsPort }, 'GET', path)).status, path).to.equal(404)
  })

  it('filters statistics, and refuses a broken filter', async () => {
    await worker()
    const filtered = (await get('/stats?filter=^hostmesh_snapshot&usedonly')).text
      .split('\n')
      .filter((line) => line !== '')
    expect(filtered.length).to.be.greaterThan(0)
    expect(filtered.every((line) => line.startsWith('hostmesh_snapshot'))).to.equal(true)
    expect((await get('/stats?filter=(')).status).to.equal(400)
    expect((await json('/stats?format=json'))['stats']).to.be.an('array')
  })

  it('asks a worker to explain, after the name was looked up as for a real request', async () => {
    const made = await worker()
    const asked: WorkerQuestion[] = []
    made.answer = (question) => {
      asked.push(question)
      return { outcome: 'route', destinations: [] }
    }
    const reply = await json(
      '/explain?method=POST&host=orders:80&path=/a%3Fb&header=X-Canary:%20yes&source=web&format=json',
    )
    expect(reply).to.deep.equal({ outcome: 'route', destinations: [] })
    expect(asked).to.deep.equal([
      {
        kind: 'explain',
        request: { method: 'POST', host: 'orders:80', path: '/a?b', headers: { 'x-canary': 'yes' }, sourceApp: 'web' },
      },
    ])
    expect(made.snapshot!.names['orders']).to.equal('public/DEFAULT_GROUP@@orders')
  })

  it('says that no worker can explain when none is there', async () => {
    const reply = await get('/explain?path=/&listener=outbound-http')
    expect(reply.status).to.equal(503)
    expect(reply.text).to.contain('none is connected')
  })

  it('registers an application of the local API, and takes it back', async () => {
    const made = await worker()
    bench.control.setLeading(true)
    const bad = await post('/applications', { service: 'web', port: 'x', wieght: 1 })
    expect(bad.status).to.equal(400)
    expect(bad.text).to.contain('nearest: weight')
    const reply = await post('/applications', { service: 'web', port: 8080, check: { off: true } })
    expect(reply.status).to.equal(201)
    const { id, inboundPort } = JSON.parse(reply.text) as { id: string; inboundPort: number }
    await made.until(() => `inbound ${id}` in made.snapshot!.listeners, 'inbound listener')
    expect(made.snapshot!.listeners[`inbound ${id}`]!.port).to.equal(inboundPort)
    await made.until(() => bench.control.registrar.views()[0]?.state === 'registered', 'announced')
    const gone = await call({ port }, 'DELETE', '/applications?service=web&port=8080')
    expect(gone.status).to.equal(200)
    expect(bench.control.registrar.views()).to.deep.equal([])
    expect((await call({ port }, 'DELETE', '/applications?service=web&port=8080')).status).to.equal(404)
  })

  it('changes the log level of control and workers by POST', async () => {
    const made = await worker()
    const asked: WorkerQuestion[] = []
    made.answer = (question) => asked.push(question)
    expect((await post('/logging?level=loud')).status).to.equal(400)
    expect((await post('/logging?level=debug')).status).to.equal(200)
    expect(level).to.equal('debug')
    expect(asked).to.deep.equal([{ kind: 'log-level', level: 'debug' }])
    level = 'info'
  })

  it('does not wait for a worker that is stopped', async () => {
    const made = await worker()
    made.pause()
    const reply = await get('/clusters?format=json')
    expect(reply.status).to.equal(200)
    expect((JSON.parse(reply.text) as { problems: string[] }).problems[0]).to.contain('no answer after 2000 ms')
    made.resume()
  })

  it('cuts the registries off for a drill, and back', async () => {
    expect((await post('/drill', { cutRegistryMs: 5000 })).status).to.equal(200)
    expect(JSON.parse((await get('/ready?format=json')).text))
      .to.have.nested.property('problems[0]')
      .that.contains('cut off by a drill')
    expect((await post('/drill', { cutRegistryMs: 0 })).status).to.equal(200)
    expect((await post('/drill', { cutRegistryMs: 'long' })).status).to.equal(400)
  })

  it('names who is in the way when its port is taken', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    let code = ''
    try {
      await server.listen('admin', { host: '127.0.0.1', port: (other.address() as AddressInfo).port })
    } catch (error) {
      code = (error as { code: string }).code
    }
    other.close()
    expect(code).to.equal('E_LISTEN_IN_USE')
  })

  it('reads no body above its bound', async () => {
    const reply = await call(
      { port },
      'POST',
      '/applications',
      { 'content-type': 'application/json' },
      `"${'x'.repeat(1_100_000)}"`,
    ).catch(() => undefined)
    // the connection may be closed before everything was sent
    if (reply !== undefined) expect(reply.status).to.equal(400)
    expect((await get('/help')).status).to.equal(200)
  })
})
