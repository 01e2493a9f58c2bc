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
import { stateFiles } from '../../../../../contracts/run-directory.ts'
import { maxUnknownPerCaller } from '../../../../../agent/control/core/snapshot/names.ts'
import { AdminServer } from '../../../../../agent/control/admin/server.ts'
import { StatsMerger } from '../../../../../agent/control/admin/stats.ts'
import type { AdminContext } from '../../../../../agent/control/admin/context.ts'
import { RunningFault } from '../../../../../agent/control/admin/running-fault.ts'
import { faultyRegistry } from '../../../../../agent/control/core/registries/faulty-registry.ts'
import { openBench, type Bench } from '../support/control-bench.ts'
import { endpoint, fakeRegistry, recordingLog } from '../support/fake-registry.ts'
import { manualClock } from '../../../../support/manual-clock.ts'
import type { FakeWorker } from '../../../../support/control/fake-worker.ts'

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
  let stepMs = 0
  let faultClock = manualClock()
  const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

  beforeEach(async () => {
    faultClock = manualClock()
    const registry = fakeRegistry('main')
    const cut = faultyRegistry(registry, faultClock)
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } }, { adapters: [cut] })
    hasQuit = false
    caller = process.getuid!()
    context = {
      control: bench.control,
      metrics: bench.control.deps.metrics,
      stats: new StatsMerger(),
      fault: new RunningFault({
        registries: [cut],
        state: bench.control.state,
        stepped: { setStep: (ms) => void (stepMs = ms) },
        clock: faultClock,
        log: recordingLog(),
        metrics: bench.control.deps.metrics,
      }),
      watchdog: () => undefined,
      version: '1.2.3',
      reportedTraffic: () => [],
      morePages: [],
      socketApis: [],
      startedAt: 0,
      faults: () => [],
      collectors: () => [],
      logLevel: { get: () => level, set: (wanted) => void (level = wanted) },
      drainSwitch: { isFailed: false },
      drain: new ListenerDrain(bench.control.core.publisher, join(bench.folder, 'drained')),
      quit: () => void (hasQuit = true),
    }
    registry.say(orders, [endpoint('10.0.0.9:80')])
    server = new AdminServer(adminPages(context), {
      log: recordingLog(),
      metrics: context.metrics,
      callers,
      socketApis: [],
    })
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

  it('looks up so many names that nobody knows for one user, and goes on for others and its own', async () => {
    const { names } = bench.control.core
    const ask = async (prefix: string, count: number): Promise<void> => {
      for (let at = 0; at < count; at += 100)
        await get(`/discovery?${Array.from({ length: 100 }, (_, i) => `service=${prefix}${at + i}`).join('&')}`)
    }
    const own = names.size
    caller = 4_000_000
    await ask('invented', 500)
    expect(names.size - own).to.equal(maxUnknownPerCaller)
    caller = 4_000_001
    await ask('other', 100)
    expect(names.size - own).to.equal(maxUnknownPerCaller + 100)
    caller = process.getuid!()
    await ask('own', 300)
    expect(names.size - own).to.equal(maxUnknownPerCaller + 400)
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

  it('gives a service that it is told of a localhost port, and refuses by name what it cannot', async () => {
    const made = await post('/outbound', { service: 'stock', ttl: '2h' })
    expect(made.status, made.text).to.equal(201)
    const {
      address,
      port: given,
      until: end,
    } = JSON.parse(made.text) as { address: string; port: number; until: string }
    expect([address, end === null]).to.deep.equal(['127.0.0.1', false])
    const listeners = [...bench.control.core.store.allListeners()]
    expect(listeners.some((one) => one.kind === 'service' && one.port === given)).to.equal(true)
    for (const [body, status, reason] of [
      [{ service: 'orders' }, 409, 'outbound.services'],
      [{ service: 'more', port: given }, 409, 'already the port of public/DEFAULT_GROUP@@stock'],
      [{ service: 'more', ttl: 'soon' }, 400, 'ttl'],
      [{ service: 'more', protocol: 'http9' }, 400, 'protocol'],
      [{ service: '' }, 400, 'service'],
      [{ service: 'more', prot: 'tcp' }, 400, 'prot'],
    ] as const) {
      const reply = await post('/outbound', body)
      expect([reply.status, reply.text.includes(reason)], reply.text).to.deep.equal([status, true])
    }
    expect(JSON.parse((await get('/outbound')).text)).to.have.nested.property('services.length', 1)
    const remove = () => call({ port }, 'DELETE', '/outbound?service=stock', {})
    expect((await remove()).status).to.equal(200)
    expect((await remove()).status).to.equal(404)
    expect([...bench.control.core.store.allListeners()].some((one) => one.port === given)).to.equal(false)
  })

  for (const [path, file, more] of [
    ['/outbound', stateFiles.toldServices, {}],
    ['/applications', stateFiles.registrations, { port: 8080, check: { off: true } }],
  ] as const)
    it(`answers about what it is told at ${path} when that is on disk, however soon one thing follows another`, async () => {
      bench.control.setLeading(true)
      const onDisk = (): number => (bench.control.state.read(file, 1) as object[]).length
      for (const [index, service] of ['stock', 'carts', 'users', 'mails'].entries()) {
        expect((await post(path, { service, ...more })).status).to.equal(201)
        expect(onDisk()).to.equal(index + 1)
      }
      expect((await call({ port }, 'DELETE', `${path}?service=stock&port=8080`, {})).status).to.equal(200)
      expect(onDisk()).to.equal(3)
    })

  it('keeps no localhost port that another process has, and says who has it', async () => {
    const first = await worker()
    const inUse = (port: number) => ({ code: 'E_LISTEN_IN_USE', message: `127.0.0.1:${port}: taken by pid 7` })
    const listener = 'outbound public/DEFAULT_GROUP@@stock'
    first.problems = [{ listener, ...inUse(20_900) }]
    const refused = await post('/outbound', { service: 'stock', port: 20_900 })
    expect([refused.status, refused.text.trim()]).to.deep.equal([
      409,
      'E_LISTEN_IN_USE  127.0.0.1:20900: taken by pid 7',
    ])
    expect(JSON.parse((await get('/outbound')).text)).to.deep.equal({ services: [] })
    first.problems = []
    expect((await post('/outbound', { service: 'stock', port: 20_901 })).status).to.equal(201)
    first.problems = [{ listener, ...inUse(20_900) }]
    expect((await post('/outbound', { service: 'stock', port: 20_900 })).status).to.equal(409)
    expect(JSON.parse((await get('/outbound')).text)).to.have.nested.property('services[0].port', 20_901)
    await first.until(() => bench.control.host.readiness.isTried(listener), 'the port from before')
    const { services } = JSON.parse((await get('/outbound')).text) as { services: { problem?: string }[] }
    expect(services[0]!.problem, 'lost meanwhile').to.contain('taken by pid 7')
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
    const successor = new AdminServer(adminPages(context), {
      log: recordingLog(),
      metrics: context.metrics,
      callers,
      socketApis: [],
    })
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
    const ports = new AdminPorts({ ...context, control: quiet.control }, deps)
    try {
      await ports.open(true)
      const { ino } = statSync(path)
      await ports.retire()
      expect(statSync(path, { throwIfNoEntry: false })?.ino, 'not removed').to.equal(ino)
      await server.listenSocket(path)
      await ports.close()
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
    const other = await get('/config_dump?resource=everything')
    expect(other.status).to.equal(400)
    expect(other.text).to.include('allowed configuration, snapshot')
  })

  it('shows what may be secret to root and its own user only, and only when asked', async () => {
    await worker()
    caller = 4242
    const ofOwners = ['/explain?host=orders', '/config_dump?mask=off', '/tap?id=mine', '/callers', '/connections']
    for (const path of [...ofOwners, '/streams', '/connections?format=json', '/streams?leastMs=0'])
      expect((await get(path)).status, path).to.equal(403)
    for (const path of ['/connections/close', '/streams/close'])
      expect((await post(path, { peer: '127.0.0.1' })).status, path).to.equal(403)
    expect((await get('/config_dump')).status).to.equal(200)
    const made = { service: 'web', port: 8080, check: { off: true }, metadata: { owner: 's3cret' } }
    caller = 0
    expect((await post('/applications', made)).status).to.equal(201)
    for (const path of ['/applications', '/registrations?format=json', '/config_dump'])
      expect((await get(path)).text, path).to.not.contain('s3cret')
    expect((await get('/config_dump?resource=snapshot&mask=off')).status).to.equal(200)
  })

  it('refuses to dump where a parameter would be ignored, and says which', async () => {
    await worker()
    caller = 0
    const why: Record<string, string> = {
      'name_regex=orders': 'parameter "name_regex", allowed resource, mask, include_eds',
      'resource=services&name_regex=orders': 'parameter "name_regex"',
      'resource=services&Mask=off': 'parameter "Mask"',
      'mask=off': 'mask=off without resource',
      'resource=snapshot&mask=bootstrap.node': 'mask "bootstrap.node", allowed off',
      'resource=snapshot&include_eds': 'resource=services has endpoints',
    }
    for (const [query, text] of Object.entries(why)) {
      const reply = await get(`/config_dump?${query}`)
      expect(reply.status, query).to.equal(400)
      expect((JSON.parse(reply.text) as { error: string }).error, query).to.include(text)
    }
    for (const query of ['include_eds', 'include_eds=true', 'resource=snapshot', 'resource=snapshot&mask=off'])
      expect((await get(`/config_dump?${query}`)).status, query).to.equal(200)
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
    expect((await post('/drill', { fault: 'cut-registry', forMs: 5000 })).status).to.equal(200)
    expect(JSON.parse((await get('/ready?format=json')).text))
      .to.have.nested.property('problems[0]')
      .that.contains('cut off by a drill')
    expect((await post('/drill', { fault: 'none' })).status).to.equal(200)
    expect((await get('/ready?format=json')).text).to.not.contain('cut off by a drill')
  })

  it('ends a fault by itself, and a second one replaces the first', async () => {
    const isSaid = async (text: string): Promise<boolean> => (await get('/ready?format=json')).text.includes(text)
    await post('/drill', { fault: 'deny-registry', forMs: 5000 })
    expect(await isSaid('E_REGISTRY_DENIED')).to.equal(true)
    await post('/drill', { fault: 'clock-step', forMs: 5000, byMs: -1000 })
    expect(stepMs).to.equal(-1000)
    expect(await isSaid('E_REGISTRY_DENIED')).to.equal(false)
    expect((await get('/metrics')).text).to.match(/hostmesh_drill_fault\{.*fault="clock-step".*\} 1/)
    faultClock.advance(5000)
    expect(stepMs).to.equal(0)
    expect((await get('/metrics')).text).to.match(/hostmesh_drill_fault\{.*fault="clock-step".*\} 0/)
  })

  it('plays a full disk: what cannot be written is a problem, and is written afterwards', async () => {
    bench.control.state.setEnabled(true)
    await post('/drill', { fault: 'full-disk', forMs: 5000 })
    const problems = async (): Promise<string> => (await get('/ready?format=json')).text
    await until(2000, () => bench.control.state.problems().length > 0)
    expect(await problems()).to.contain('a drill plays a full disk')
    await post('/drill', { fault: 'none' })
    await until(2000, () => bench.control.state.problems().length === 0)
  })

  it('refuses a fault that it does not know, too long, or without the amount that it needs', async () => {
    for (const body of [
      { fault: 'meteor', forMs: 1000 },
      { fault: 'cut-registry' },
      { fault: 'cut-registry', forMs: 600_001 },
      { fault: 'slow-registry', forMs: 1000 },
      { fault: 'clock-step', forMs: 1000, byMs: 1e15 },
      [],
      'cut',
    ])
      expect((await post('/drill', body)).status, JSON.stringify(body)).to.equal(400)
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

  it('serves the console to everybody, its data to pages of its own, and changes nothing for them', async () => {
    const page = await get('/console/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })
    expect(page.status).to.equal(200)
    expect(page.headers['content-security-policy'])
      .to.include("default-src 'none'")
      .and.to.include("script-src 'self';")
    expect(page.text).not.to.match(/<script(?![^>]*\bsrc=)/)
    for (const file of ['main.js', 'words.ts', 'vendor/preact.js', 'vendor/hooks.js', 'vendor/uplot.css'])
      expect((await get(`/console/${file}`)).status, file).to.equal(200)
    for (const file of ['../package.json', '..%2fpackage.json', 'tsconfig.json', 'nothing.js', 'vendor/toString'])
      expect((await get(`/console/${file}`)).status, file).to.equal(404)
    expect((await post('/console/main.js', {})).status).to.equal(405)
    const own = { host: `127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' }
    const about = await get('/console/data/about', own)
    expect(JSON.parse(about.text)).to.deep.include({ role: 'agent', host: 'host-1', kinds: [] })
    expect((await get('/console/data/about', { ...own, 'sec-fetch-site': 'same-site' })).status).to.equal(403)
    expect((await get('/console/data/about', { ...own, host: 'rebound.example.com' })).status).to.equal(403)
    const change = { ...own, 'content-type': 'application/json' }
    expect((await call({ port }, 'POST', '/console/data/reload', change, '{}')).status).to.equal(403)
    expect((await call({ port }, 'POST', '/reload', change, '{}')).status).to.equal(403)
  })

  it('answers a file that the browser has already by its mark, and packs what it sends', async () => {
    const first = await get('/console/style.css')
    const again = await get('/console/style.css', { 'if-none-match': String(first.headers.etag) })
    expect([again.status, again.text]).to.deep.equal([304, ''])
    const packed = await get('/console/style.css', { 'accept-encoding': 'gzip, br' })
    expect(packed.headers).to.include({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(Number(packed.headers['content-length'])).to.be.below(first.text.length / 2)
  })

  it('shows the events since a time, of some kinds, and refuses what is no time or kind', async () => {
    bench.control.setLeading(true)
    bench.control.timeline.add({ kind: 'drill', about: 'kill-worker', what: 'began', message: 'x' })
    const kinds = async (query: string): Promise<string[]> => {
      const { events } = JSON.parse((await get(`/events?format=json${query}`)).text) as { events: { kind: string }[] }
      return events.map(({ kind }) => kind)
    }
    expect(await kinds('&kind=drill')).to.deep.equal(['drill'])
    expect(await kinds('&kind=tier')).to.deep.equal([])
    expect(await kinds('&kind=drill&since=2100-01-01T00:00Z')).to.deep.equal([])
    expect((await get('/events')).text).to.include('kill-worker')
    for (const query of ['kind=weather', 'since=yesterday', 'after=-1', 'limit=0', 'after=1e3'])
      expect((await get(`/events?${query}`)).status, query).to.equal(400)
  })

  it('lets a drill tell the timeline, and nothing that is none', async () => {
    bench.control.setLeading(true)
    expect((await post('/drill', { drill: 'kill-worker', phase: 'began' })).status).to.equal(200)
    expect(bench.control.timeline.query().events.at(-1)).to.include({
      kind: 'drill',
      about: 'kill-worker',
      what: 'began',
    })
    for (const body of [{ drill: 'kill-worker', phase: 'won' }, { drill: '<b>', phase: 'began' }, { drill: 7 }])
      expect((await post('/drill', body)).status, JSON.stringify(body)).to.equal(400)
  })
})
