import { expect } from 'chai'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { StatSeries, WorkerQuestion } from '../../../../../contracts/control-link.ts'
import { AdminPorts, type AdminPortsDeps } from '../../../../../agent/control/admin/admin-ports.ts'
import { ListenerDrain } from '../../../../../agent/control/admin/listener-drain.ts'
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

async function until(ms: number, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + ms
  while (!isTrue() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(isTrue()).to.equal(true)
}

describe('the admin interface', () => {
  let bench: Bench
  let server: AdminServer
  let port: number
  let metricsPort: number
  let context: AdminContext
  let level = 'info'
  /** Who the caller's end of a connection belongs to. */
  let caller: number | undefined
  const callers = { uidOf: () => caller }
  let hasQuit = false
  const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

  beforeEach(async () => {
    const registry = fakeRegistry('main')
    const cut = cuttable(registry, () => 0)
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } }, { adapters: [cut] })
    hasQuit = false
    caller = process.getuid!()
    context = {
      control: bench.control,
      metrics: bench.control.deps.metrics,
      stats: new StatsMerger(),
      registries: [cut],
      watchdog: () => undefined,
      version: '1.2.3',
      startedAt: 0,
      faults: () => [],
      logLevel: { get: () => level, set: (wanted) => void (level = wanted) },
      drainSwitch: { isFailed: false },
      drain: new ListenerDrain(bench.control.core.publisher, join(bench.folder, 'drained')),
      quit: () => void (hasQuit = true),
    }
    registry.say(orders, [endpoint('10.0.0.9:80')])
    server = new AdminServer(adminPages(context), { log: recordingLog(), metrics: context.metrics, callers })
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
    await made.until(() => bench.control.host.readiness.pending().length === 0, 'readiness')
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

  it('takes changes from root and its own user only, whoever else may read', async () => {
    const path = join(bench.folder, 'run', 'admin.sock')
    await server.listenSocket(path)
    const changing = adminPages(context).filter((page) => page.method !== 'GET')
    for (const uid of [65534, 1, undefined]) {
      caller = uid
      for (const page of changing) {
        const reply = await call({ port }, page.method, page.path, {})
        expect(reply.status, `${page.method} ${page.path} by ${uid}`).to.equal(403)
        expect(reply.text).to.contain('is for root and the agent')
      }
      expect((await get('/help')).status).to.equal(200)
      expect((await call({ socketPath: path }, 'POST', '/healthcheck/ok', {})).status, 'the socket is enough').to.equal(
        200,
      )
    }
    expect(hasQuit).to.equal(false)
    for (const uid of [0, process.getuid!()]) {
      caller = uid
      expect((await post('/healthcheck/ok')).status).to.equal(200)
    }
  })

  it('is not ready while listeners are drained, tells workers that come later too, and takes a drain back', async () => {
    const asked: WorkerQuestion[] = []
    const noting = (question: WorkerQuestion): unknown => asked.push(question)
    const first = await worker()
    first.answer = noting
    expect((await get('/ready')).status).to.equal(200)
    expect((await post('/drain_listeners')).status).to.equal(200)
    expect(asked.splice(0)).to.deep.equal([{ kind: 'drain-listeners', inboundOnly: false }])
    const during = await get('/ready')
    expect(during.status).to.equal(503)
    expect(during.text).to.contain('/undrain_listeners takes it back')
    const other = new ListenerDrain(bench.control.core.publisher, join(bench.folder, 'drained'))
    expect(other.extent, 'another control knows').to.equal('all')
    await context.drain.workersChanged()
    expect(asked, 'who knows is not told again').to.deep.equal([])
    await other.workersChanged()
    expect(asked.splice(0), 'whom this control has not told is').to.have.length(1)
    expect((await post('/undrain_listeners')).status).to.equal(200)
    expect(asked).to.deep.equal([{ kind: 'undrain-listeners' }])
    expect((await get('/ready')).status).to.equal(200)
    expect(new ListenerDrain(bench.control.core.publisher, join(bench.folder, 'drained')).extent).to.equal('none')
  })

  it('answers filters of metrics in linear time, whatever the pattern', async () => {
    const started = performance.now()
    for (const pattern of ['(a+)+$', '(.*)*x', '(h|o|s|t|.)*@', '(?:_?[a-z]+)*!$', '([a-z_]+)*="']) {
      const reply = await get(`/stats?filter=${encodeURIComponent(pattern)}`)
      expect(reply.status, pattern).to.be.oneOf([200, 400])
    }
    expect((await get(`/stats?filter=${'x'.repeat(5000)}`)).status).to.equal(400)
    expect((await get('/stats?filter=(')).status).to.equal(400)
    expect((await get('/stats?filter=build_info')).text).to.match(/^hostmesh_build_info/)
    expect((await get('/stats?filter=no_such')).text.trim()).to.equal('')
    expect(performance.now() - started).to.be.lessThan(2000)
  })

  it('takes no application elsewhere than on this host, at a port of its own, or in the name of another’s user', async () => {
    await worker()
    const { admin, inbound, outbound } = bench.control.config
    const refused: [object, string][] = [
      [{ address: '169.254.169.254', port: 80 }, 'no address of this host'],
      [{ address: '192.0.2.1', port: 80 }, 'no address of this host'],
      [{ address: '0.0.0.0', port: 80 }, 'no address of this host'],
      [{ address: '::ffff:127.0.0.1', port: 80 }, 'no address of this host'],
      [{ address: inbound.address, port: inbound.portRange.first }, 'a port of the agent itself'],
      [{ address: outbound.address, port: outbound.portRange.last }, 'a port of the agent itself'],
      ...(admin.address === 'off'
        ? []
        : [
            [{ port: admin.address.port, address: admin.address.host }, 'a port of the agent itself'] as [
              object,
              string,
            ],
          ]),
      [{ port: 8081, user: 'nobody-of-that-name' }, 'does not exist'],
    ]
    for (const [where, reason] of refused) {
      const reply = await post('/applications', { service: 'evil', ...where })
      expect(reply.status, JSON.stringify(where)).to.equal(400)
      expect(reply.text).to.contain(reason)
    }
    expect((await post('/applications', { service: 'shop', port: 8082, user: 4242 })).status).to.equal(201)
    const stolen = await post('/applications', { service: 'evil', port: 8083, user: 4242 })
    expect(stolen.status).to.equal(400)
    expect(stolen.text).to.contain('user 4242 stands for public/DEFAULT_GROUP@@shop already')
  })

  it('closes the longest idle connection of a caller that opens too many, and waits 3 s for a head', async function () {
    this.timeout(10_000)
    caller = 4242
    const silent = Array.from({ length: 40 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    const opened = performance.now()
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    await until(2000, () => silent.filter((socket) => socket.closed).length === 24)
    expect(
      silent.slice(0, 24).every((socket) => socket.closed),
      'the oldest left',
    ).to.equal(true)
    caller = 0
    expect((await get('/help')).status, 'another caller is served').to.equal(200)
    await until(6000, () => silent.every((socket) => socket.closed))
    expect(performance.now() - opened).to.be.within(2500, 6000)
  })

  it('answers on a unix socket that only its owner can open, and takes the place of an old one', async () => {
    const path = join(bench.folder, 'run', 'admin.sock')
    await server.listenSocket(path)
    const inode = statSync(path).ino
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    const successor = new AdminServer(adminPages(context), { log: recordingLog(), metrics: context.metrics, callers })
    await successor.listenSocket(path)
    expect(statSync(path).ino).to.not.equal(inode)
    await server.close()
    expect((await call({ socketPath: path }, 'GET', '/help', { host: 'anything' })).status).to.equal(200)
    await successor.close()
    expect(statSync(path, { throwIfNoEntry: false })).to.equal(undefined)
  })

  it('leaves the path of its socket alone when it retires: a successor puts its own there at any moment', async () => {
    const off = { address: 'off' }
    const quiet = await openBench({ admin: off, metrics: off, readiness: off }, { adapters: [] })
    const path = quiet.control.config.admin.socket
    const { clock } = quiet.control.deps
    const deps = { clock, log: recordingLog(), callers } as unknown as AdminPortsDeps
    const face = new AdminPorts({ ...context, control: quiet.control }, deps)
    try {
      await face.open(true)
      const { ino } = statSync(path)
      await face.retire()
      expect(statSync(path, { throwIfNoEntry: false })?.ino, 'not removed').to.equal(ino)
      await server.listenSocket(path)
      await face.close()
      expect((await call({ socketPath: path }, 'GET', '/help', { host: 'anything' })).status).to.equal(200)
    } finally {
      await quiet.close()
    }
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
    const dump = await json('/config_dump?resource=configuration')
    expect(JSON.stringify(dump)).to.contain('"orders"')
    const { listeners } = (await json('/config_dump?resource=snapshot')) as { listeners: object }
    expect(Object.keys(listeners)).to.include('outbound public/DEFAULT_GROUP@@orders')
    const services = await json('/config_dump?resource=services')
    expect(Object.keys(services)).to.include('public/DEFAULT_GROUP@@orders')
    expect(await json('/config_dump?resource=everything')).to.have.property('error')
  })

  it('shows what may be secret to root and its own user only, and only when asked', async () => {
    await worker()
    caller = 4242
    for (const path of ['/explain?host=orders', '/config_dump?mask=off'])
      expect((await get(path)).status, path).to.equal(403)
    expect((await get('/config_dump')).status).to.equal(200)
    const made = { service: 'web', port: 8080, check: { off: true }, metadata: { owner: 's3cret' } }
    caller = 0
    expect((await post('/applications', made)).status).to.equal(201)
    for (const path of ['/applications', '/registrations?format=json', '/config_dump'])
      expect((await get(path)).text, path).to.not.contain('s3cret')
    expect((await get('/config_dump?mask=off')).status).to.equal(200)
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
    await first.until(() => bench.control.core.publisher.states().length === 1, 'one worker left')
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
        request: { method: 'POST', host: 'orders:80', path: '/a?b', headers: [['X-Canary', 'yes']], sourceApp: 'web' },
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
    await made.until(() => bench.control.host.registrar.views()[0]?.state === 'registered', 'announced')
    const gone = await call({ port }, 'DELETE', '/applications?service=web&port=8080')
    expect(gone.status).to.equal(200)
    expect(bench.control.host.registrar.views()).to.deep.equal([])
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
    const reply = await get('/clusters?format=hostmesh')
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
