/** A host with real processes, as another user of it meets it: one without any right, and applications of two users. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until, type DemoApplication, type DemoHost } from '../../support/mesh/mesh.ts'
import { freePort } from '../../support/free-port.ts'
import { askAs, holdSilentAs, runAs, type Heard } from '../../support/security/other-user.ts'

const [nobody, alice, bob] = [65534, 4201, 4202]

describe('a host and its other users', function () {
  this.timeout(120_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost
  let orders: DemoApplication
  let address: string

  before(async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address], rulesGroup: 'RULES' }])
    orders = await mesh.httpApplication('orders', 'v1')
    host = mesh.host('host', { applications: [orders], outbound: [{ service: 'orders', protocol: 'http' }] })
    address = host.options.address
    Object.assign(host.options, {
      extra: {
        nacosFace: {
          enabled: true,
          address,
          httpPort: 8848,
          grpcPort: 9848,
          configWrites: 'granted',
          grants: [{ user: alice, documents: ['DEFAULT_GROUP/alice*'], writes: true }],
        },
      },
    })
    host.start()
    await host.ready()
    await until(30_000, 'orders is reachable', async () => (await callOrders()).status === 200)
  })
  after(async () => {
    await mesh?.close()
    await registry?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const callOrders = () => call(address, 15_001, { host: 'orders' })
  const at = (port: number): string => `${address}:${port}`
  const json = { 'content-type': 'application/json' }
  const one = async (uid: number, line: string, port: number, body?: string): Promise<Heard> =>
    (await askAs(uid, [{ at: at(port), line, ...(body === undefined ? {} : { body, headers: json }) }]))[0]!

  it('takes no change of theirs over the admin port, and shows them no secrets', async () => {
    const changes = [
      ['POST /drain_listeners'],
      ['POST /quitquitquit'],
      ['POST /healthcheck/fail'],
      ['POST /drill', '{"fault":"cut-registry","forMs":600000}'],
      ['POST /applications', '{"service":"evil","address":"169.254.169.254","port":80,"check":{"off":true}}'],
      ['POST /logging?level=trace'],
      ['POST /reload'],
      ['DELETE /applications?service=orders&port=80'],
      ['GET /explain?host=orders'],
      ['GET /config_dump?mask=off'],
      ['GET /tap?id=mine'],
      ['GET /callers'],
      ['GET /connections'],
      ['GET /streams'],
      ['POST /connections/close', '{"listener":"shared","how":"cut"}'],
      ['POST /streams/close', '{"leastMs":1}'],
    ] as const
    const heard = await askAs(
      nobody,
      changes.map(([line, body]) => ({ at: at(15_000), line, ...(body === undefined ? {} : { body, headers: json }) })),
    )
    expect(heard.map(({ status }) => status)).to.deep.equal(changes.map(() => 403))
    expect((await one(nobody, 'GET /ready', 15_000)).status).to.equal(200)
    const [bySocket] = await askAs(nobody, [{ at: join(host.runDir, 'admin.sock'), line: 'GET /ready' }])
    expect(bySocket).to.deep.equal({ status: 0, text: 'EACCES' })
    expect((await callOrders()).status).to.equal(200)
  })

  it('drains for root, says so, and takes the drain back', async () => {
    const drained = await host.admin.post('/drain_listeners')
    expect(drained.status).to.equal(200)
    const during = await host.admin.get('/ready')
    expect(during.status).to.equal(503)
    expect(during.text).to.contain('/undrain_listeners')
    await host.admin.post('/undrain_listeners')
    await until(30_000, 'serves again', async () => (await callOrders()).status === 200)
    expect((await host.admin.get('/ready')).status).to.equal(200)
  })

  it('is not stopped by their regular expressions or their silent connections', async () => {
    const patterns = ['(a+)+$', '([a-z_]+)*=!', '(.*)*x', '(h|o|s|t|.)*@']
    const started = performance.now()
    await askAs(
      nobody,
      patterns.map((pattern) => ({ at: at(15_000), line: `GET /stats?filter=${encodeURIComponent(pattern)}` })),
    )
    expect((await host.admin.get('/ready')).status).to.equal(200)
    expect(performance.now() - started).to.be.lessThan(15_000)
    const holders = await Promise.all(
      [15_000, 15_020, 15_021, 8848, 9848].map((port) => holdSilentAs(nobody, address, port, port < 9000 ? 400 : 100)),
    )
    try {
      for (const [port, path] of [
        [15_000, '/ready'],
        [15_020, '/metrics'],
        [15_021, '/ready'],
        [8848, '/nacos/v1/console/server/state'],
      ] as const)
        expect((await call(address, port, {}, path)).status, `${port}`).to.equal(200)
    } finally {
      for (const holder of holders) holder.kill('SIGKILL')
    }
  })

  it('keeps rules, documents and registrations from them at the Nacos face', async () => {
    const rules = 'dataId=hostmesh.mesh&group=RULES'
    const hers = 'dataId=alice.yaml&group=DEFAULT_GROUP'
    const instance = (service: string, port: number): string => `serviceName=${service}&ip=${address}&port=${port}`
    expect((await one(alice, `POST /nacos/v1/cs/configs?${hers}&content=a`, 8848)).text).to.equal('true')
    expect((await one(alice, `POST /nacos/v1/ns/instance?${instance('alices', 8081)}`, 8848)).text).to.equal('ok')
    const attacks = [
      `POST /nacos/v1/cs/configs?${rules}&content=evil`,
      `GET /nacos/v1/cs/configs?${rules}`,
      `DELETE /nacos/v1/cs/configs?${rules}`,
      `GET /nacos/v1/cs/configs?${hers}`,
      `POST /nacos/v1/cs/configs?${hers}&content=b`,
      `DELETE /nacos/v2/cs/config?${hers}`,
      `DELETE /nacos/v1/ns/instance?${instance('alices', 8081)}`,
      `PUT /nacos/v1/ns/instance?${instance('alices', 8081)}&weight=0`,
      `POST /nacos/v1/ns/instance?${instance('alices', 8082)}`,
      `POST /nacos/v1/ns/instance?${instance('orders', 8083)}`,
      `POST /nacos/v1/ns/instance?${instance('Orders', 8083)}`,
      `POST /nacos/v1/ns/instance?${instance('ALICES', 8083)}`,
      `POST /nacos/v1/ns/instance?${instance('bobs', 15_000)}`,
      `POST /nacos/v1/ns/instance?${instance('bobs', orders.port)}`,
      `POST /nacos/v1/ns/instance?${instance('bobs', 22)}`,
      `POST /nacos/v1/ns/instance?${instance('bobs', 8084)}&weight=100`,
      'POST /nacos/v1/ns/instance?serviceName=bobs&ip=169.254.169.254&port=8085',
    ]
    const heard = await askAs(
      bob,
      attacks.map((line) => ({ at: at(8848), line })),
    )
    for (const [index, { status, text }] of heard.entries())
      expect(status, `${attacks[index]}: ${text}`).to.be.oneOf([400, 403])
    const [rootsOwn] = await askAs(0, [{ at: at(8848), line: `POST /nacos/v1/cs/configs?${rules}&content=evil` }])
    expect(rootsOwn!.status, 'rules: not even root').to.equal(403)
    expect((await one(alice, `GET /nacos/v1/cs/configs?${hers}`, 8848)).text).to.equal('a')
    const list = async (service: string): Promise<number> => {
      const reply = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?serviceName=${service}`)
      return ((await reply.json()) as { hosts: unknown[] }).hosts.length
    }
    await until(30_000, 'hers is announced', async () => (await list('alices')) === 1)
    expect(await list('bobs')).to.equal(0)
    expect((await one(alice, `DELETE /nacos/v1/ns/instance?${instance('alices', 8081)}`, 8848)).text).to.equal('ok')
  })

  it('holds a bounded part of what they upload to the Nacos face, and has room for others meanwhile', async () => {
    const path = '/nacos/v1/cs/configs'
    const upload = `POST ${path} HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: 1000000\\r\\n\\r\\n`
    const hog = runAs(
      nobody,
      `const { connect } = require('node:net'); const [host, port] = process.argv[1].split(' '); let refused = 0
       const one = () => { const socket = connect(port, host); let text = ''
         socket.on('error', () => {}); socket.on('close', one)
         socket.on('data', (bytes) => { text += bytes; if (text.startsWith('HTTP/1.1 503') && ++refused === 20) process.stdout.write('on') })
         socket.write('${upload}' + 'x'.repeat(960000)) }
       for (let i = 0; i < 60; i++) one()`,
      `${address} 8848`,
    )
    try {
      await once(hog.stdout!, 'data')
      const others = await askAs(alice, [
        { at: at(8848), line: 'GET /nacos/v1/console/server/state' },
        { at: at(8848), line: `POST ${path}?dataId=alice.txt&group=DEFAULT_GROUP`, body: 'x'.repeat(100_000) },
      ])
      expect(others.map(({ status }) => status)).to.deep.equal([200, 400])
    } finally {
      hog.kill('SIGKILL')
    }
    const { text } = await host.admin.get('/stats/prometheus')
    const refused = /hostmesh_nacos_face_refused_total\{bound="maxBodyTotalBytes"\} (\d+)/.exec(text)
    expect(Number(refused?.[1])).to.be.at.least(20)
  })

  it('leads nobody to the silent application of another user that somebody else has announced', async () => {
    const serve = `const { createServer } = require('node:http')
      const [host, port, name] = process.argv[1].split(' ')
      createServer((incoming, outgoing) => outgoing.end(name)).listen(Number(port), host, () => process.stdout.write('on'))`
    const port = await freePort(address)
    const announced = `POST /nacos/v1/ns/instance?serviceName=late&ip=${address}&port=${port}&metadata=${encodeURIComponent('{"hostmesh.protocol":"http"}')}`
    expect((await one(alice, announced, 8848)).text).to.equal('ok')
    const inbound = await inboundPort(host, 'late')
    await until(30_000, 'its port listens', async () => (await call(address, inbound)).status === 503)
    const silent = runAs(bob, serve, `${address} ${port} bobs`)
    await once(silent.stdout!, 'data')
    expect((await call(address, port)).body, 'it is there').to.equal('bobs')
    for (let i = 0; i < 20; i++) expect(await call(address, inbound)).to.include({ status: 503 })
    expect((await call(address, inbound)).headers['x-mesh-error']).to.equal('E_CONNECT_FAILED')
    expect((await one(alice, announced, 8848)).status, 'nor is it announced again').to.equal(403)
    expect((await host.admin.get('/stats?filter=other_user_dials')).text).to.match(/: [1-9]/)
    const health = async (): Promise<string> => (await host.admin.get('/registrations')).text
    await until(30_000, 'it is shown as unwell', async () => /late[\s\S]*refuses connections/.test(await health()))
    silent.kill('SIGKILL')
    await once(silent, 'close')
    const own = runAs(alice, serve, `${address} ${port} alices`)
    await once(own.stdout!, 'data')
    await until(30_000, 'her own is reached', async () => (await call(address, inbound)).body === 'alices')
    own.kill('SIGKILL')
    expect((await one(alice, announced.replace('POST', 'DELETE'), 8848)).text).to.equal('ok')
  })

  it('looks up the first use of a name in time while another user invents names', async () => {
    const flood = runAs(
      nobody,
      `const { request, Agent } = require('node:http'); const agent = new Agent({ keepAlive: true, maxSockets: 64 })
       const [host, port] = process.argv[1].split(' '); let at = 0, answered = 0
       const next = () => { const outgoing = request({ host, port, agent, headers: { host: 'invented-' + at++ } }, (incoming) => { incoming.resume(); incoming.on('end', () => { if (++answered === 2000) process.stdout.write('on'); next() }) }); outgoing.on('error', next); outgoing.end() }
       for (let i = 0; i < 64; i++) next()`,
      `${address} 15001`,
    )
    try {
      await once(flood.stdout!, 'data')
      for (const name of ['first', 'second', 'third']) {
        const application = await mesh.httpApplication(name, 'v1', address)
        const url = `http://${registry.address}/nacos/v1/ns/instance?serviceName=${name}&ip=${address}&port=${application.port}&ephemeral=false`
        expect((await fetch(url, { method: 'POST' })).status).to.equal(200)
        const started = performance.now()
        const answer = await call(address, 15_001, { host: name })
        expect(answer.status, answer.body).to.equal(200)
        expect(performance.now() - started).to.be.lessThan(5000)
      }
    } finally {
      flood.kill('SIGKILL')
    }
  })

  describe('with callers told apart by user', () => {
    const targets: Server[] = []
    before(async () => {
      for (const [name, user] of [
        ['alice-app', alice],
        ['bob-app', bob],
      ] as const) {
        const server = createServer((incoming, outgoing) => {
          incoming.resume()
          outgoing.end('ok')
        }).listen(0, address)
        await once(server, 'listening')
        targets.push(server)
        const { port } = server.address() as AddressInfo
        writeFileSync(
          join(host.options.directory, 'services.d', `${name}.yaml`),
          stringify({ service: name, address, port, protocol: 'http', check: { off: true }, user }),
        )
      }
      for (const name of ['alice-app', 'bob-app'])
        await until(30_000, name, async () => (await call(address, 15_001, { host: name })).status === 200)
    })
    after(() => {
      for (const server of targets) server.close()
    })

    it('never takes one for another, however they close and reuse ports', async () => {
      await host.admin.post('/reset_counters')
      // each calls the other's application, from the same 150 ports, and closes early as often as not
      const script = `
        const net = require('node:net'); const [host, name] = process.argv[1].split(' '); let left = 450, at = 0
        const next = () => { if (left-- <= 0) return
          const mode = left % 3
          const socket = net.connect({ host, port: 15001, localAddress: host, localPort: 44000 + (at++ % 150) })
          socket.on('error', () => {}); socket.on('close', () => setImmediate(next))
          socket.on('connect', () => { socket.write('GET / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nConnection: close\\r\\n\\r\\n'); if (mode === 1) socket.end(); if (mode === 2) setTimeout(() => socket.resetAndDestroy(), 1) })
          socket.resume() }
        for (let i = 0; i < 6; i++) next()`
      const callers = [
        runAs(alice, script, `${address} bob-app`),
        runAs(bob, script, `${address} alice-app`),
        runAs(nobody, script, `${address} orders`),
      ]
      await Promise.all(callers.map((child) => once(child, 'close')))
      const { text } = await host.admin.get('/stats/prometheus')
      const seen = new Map<string, number>()
      for (const line of text.split('\n')) {
        if (!line.startsWith('istio_requests_total{') || !line.includes('reporter="source"')) continue
        const label = (name: string): string => line.split(`${name}="`)[1]?.split('"')[0] ?? ''
        const pair = `${label('source_app')} to ${label('destination_app') || label('destination_service_name')}`
        seen.set(pair, (seen.get(pair) ?? 0) + Number(line.split(' ').at(-1)))
      }
      for (const pair of seen.keys())
        expect(pair).to.match(/^(?:alice-app to .*bob-app|bob-app to .*alice-app|unknown to .*)$/)
      const of = (pattern: RegExp): number =>
        [...seen].filter(([pair]) => pattern.test(pair)).reduce((sum, [, count]) => sum + count, 0)
      expect(of(/^alice-app to/)).to.be.greaterThan(100)
      expect(of(/^bob-app to/)).to.be.greaterThan(100)
    })
  })
})
