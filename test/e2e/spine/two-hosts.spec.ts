import { createServer } from 'node:net'
import { connect } from 'node:net'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  type Answer,
  type DemoApplication,
  type DemoHost,
  Mesh,
  call,
  relayOf,
  sharedPort,
  until,
} from '../../support/mesh/mesh.ts'
import { type RunningNacos, needsNacos, startNacos } from '../../support/nacos/server.ts'

const seenWithinMs = 1500

interface RegisteredInstance {
  ip: string
  port: number
  metadata: Record<string, string>
}

function version(answer: Answer): string {
  return (JSON.parse(answer.body) as { version: string }).version
}

describe('two hosts, their agents and a real Nacos', function () {
  this.timeout(120_000)
  let nacos: RunningNacos
  let mesh: Mesh
  let alpha: DemoHost
  let beta: DemoHost
  let center: DemoHost
  let inventory: DemoApplication
  let ledger: DemoApplication

  before(async function () {
    await needsNacos(this)
    nacos = await startNacos({})
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [nacos.address] }])
    const orders = await mesh.httpApplication('orders', 'v1')
    ledger = await mesh.lineApplication('ledger', 'v1', orders.address)
    inventory = await mesh.httpApplication('inventory', 'v1')
    await registerPlain(inventory)
    center = mesh.host('center', { role: 'center' })
    beta = mesh.host('beta', { applications: [orders, ledger] })
    alpha = mesh.host('alpha', {
      outbound: [
        { service: 'orders', protocol: 'http' },
        { service: 'ledger', protocol: 'tcp' },
      ],
      centers: [relayOf(center)],
      extra: { fallbackNetworks: [`${inventory.address}/32`] },
    })
    for (const host of [center, beta, alpha]) host.start()
    await Promise.all([center.ready(), beta.ready(), alpha.ready()])
    await until(15_000, 'orders is reachable from alpha', async () => (await callOrders()).status === 200)
    // the registry tells of each service by itself: one that is known says nothing about the other
    await until(15_000, 'ledger is reachable from alpha', async () => (await talkToLedger('hello\n')) === 'v1 hello\n')
  })

  after(async () => {
    await mesh?.close()
    await nacos?.stop()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function callOrders(): Promise<Answer> {
    return call(alpha.options.address, await alpha.port('orders'))
  }

  /** Sends all and half-closes; answers what came until the other side closed. */
  async function talkToLedger(text: string): Promise<string> {
    const socket = connect({ host: alpha.options.address, port: await alpha.port('ledger'), allowHalfOpen: true })
    socket.setEncoding('latin1')
    let received = ''
    socket.on('data', (chunk: string) => (received += chunk))
    socket.end(text)
    try {
      await once(socket, 'end')
    } finally {
      socket.destroy()
    }
    return received
  }

  async function registerPlain(application: DemoApplication): Promise<void> {
    const query = new URLSearchParams({
      serviceName: application.service,
      ip: application.address,
      port: String(application.port),
      ephemeral: 'false',
      metadata: JSON.stringify({ version: application.version }),
    })
    const reply = await fetch(`${nacos.url}/v2/ns/instance`, { method: 'POST', body: query })
    expect(reply.status, await reply.text()).to.equal(200)
  }

  async function instancesOf(service: string): Promise<RegisteredInstance[]> {
    const reply = await fetch(`${nacos.url}/v2/ns/instance/list?serviceName=${service}`)
    return ((await reply.json()) as { data: { hosts: RegisteredInstance[] } }).data.hosts
  }

  it('carries a call from a localhost port through both agents to the application', async () => {
    const answer = await callOrders()
    expect(answer.status).to.equal(200)
    expect(version(answer)).to.equal('v1')
    expect(answer.headers['x-mesh-tier']).to.equal('agent')
    expect(answer.headers['x-mesh-error']).to.equal(undefined)
    const stats = (await beta.admin.get('/stats/prometheus')).text
    expect(stats).to.match(/istio_requests_total\{[^}]*reporter="destination"[^}]*\} [1-9]/)
  })

  it('finds the service by Host and by x-mesh-service on the shared port', async () => {
    const byHost = await call(alpha.options.address, sharedPort, { host: 'orders' })
    const byHeader = await call(alpha.options.address, sharedPort, {
      host: 'any',
      'x-mesh-service': 'DEFAULT_GROUP@@orders',
    })
    expect([byHost.status, byHeader.status]).to.deep.equal([200, 200])
  })

  it('answers 503 with a code for a service that nobody knows', async () => {
    const answer = await call(alpha.options.address, sharedPort, { host: 'nobody' })
    expect(answer.status).to.equal(503)
    expect(answer.headers['x-mesh-error']).to.equal('E_ROUTE_UNKNOWN_SERVICE')
  })

  it('uses x-mesh-fallback for an unknown service, and only inside the allowed networks', async () => {
    const good = await call(alpha.options.address, sharedPort, {
      host: 'nobody',
      'x-mesh-fallback': `${inventory.address}:${inventory.port}`,
    })
    expect(good.status).to.equal(200)
    const refused = await call(alpha.options.address, sharedPort, { host: 'nobody', 'x-mesh-fallback': '127.0.0.1:80' })
    expect(refused.headers['x-mesh-error']).to.equal('E_ROUTE_FALLBACK_REFUSED')
  })

  it('calls a service whose host has no agent at its own port', async () => {
    const answer = await call(alpha.options.address, sharedPort, { host: 'inventory' })
    expect(answer.status).to.equal(200)
    expect(answer.body).to.include('inventory')
  })

  it('registers a local application at the inbound port, where a caller without an agent reaches it', async () => {
    const [instance] = await instancesOf('orders')
    expect(instance?.metadata['hostmesh.inbound']).to.equal('true')
    expect(instance?.port).to.be.within(21_000, 21_999)
    const answer = await call(instance!.ip, instance!.port)
    expect(answer.status).to.equal(200)
  })

  it('carries raw TCP with half-close', async () => {
    expect(await talkToLedger('one\ntwo\n')).to.equal('v1 one\nv1 two\n')
  })

  it('sees a new instance of another host within 1.5 s of its registration', async () => {
    const times: number[] = []
    // the best of at most three: what the machine does meanwhile is not the mesh's time
    for (const name of ['v2', 'v3', 'v4']) {
      const another = await mesh.httpApplication('orders', name, beta.options.address)
      const before = (await instancesOf('orders')).length
      beta.addApplication(another, `orders-${name}`)
      await until(30_000, 'registered', async () => (await instancesOf('orders')).length > before)
      times.push(await until(30_000, 'called', async () => version(await callOrders()) === name))
      if (times.at(-1)! < seenWithinMs) break
    }
    expect(Math.min(...times)).to.be.below(seenWithinMs)
  })

  it('refuses a bad configuration at start, with every problem, its place and a code', () => {
    const path = join(mesh.directory, 'bad.yaml')
    writeFileSync(path, 'outbond: {}\nworkers: many\n')
    const done = spawnSync(process.execPath, ['cli/main.ts', 'watchdog', '-c', path], { encoding: 'utf8' })
    expect(done.status).to.equal(3)
    expect(done.stderr).to.include(`${path}:1:1`)
    expect(done.stderr).to.include('outbound')
    expect(done.stderr).to.include(`${path}:2:`)
    expect(done.stderr).to.include('E_CONFIG_INVALID')
  })

  it('keeps serving with the old configuration when a reload is refused', async () => {
    const good = alpha.options
    writeFileSync(alpha.configPath, 'outbound: [this is not a map]\n')
    expect(await alpha.reload()).to.not.equal('done')
    expect((await callOrders()).status).to.equal(200)
    expect(good).to.equal(alpha.options)
    alpha.writeFiles()
  })

  it('starts with one port taken: that service names the owner, the others work', async () => {
    const owner = createServer()
    const address = mesh.address()
    await new Promise<void>((resolve) => owner.listen(20_500, address, resolve))
    const gamma = mesh.host('gamma', {
      extra: {
        host: { name: 'gamma', address },
        outbound: {
          http: `${address}:15001`,
          address,
          services: [{ service: 'orders', protocol: 'http', port: 20_500 }],
        },
      },
    })
    gamma.start()
    await until(
      60_000,
      'the shared port answers',
      async () => (await call(address, sharedPort, { host: 'orders' })).status === 200,
    )
    // the workers serve before control answers
    await gamma.ready()
    const listing = async (): Promise<string> => (await gamma.admin.get('/ports?format=json')).text
    await until(20_000, 'the port is told', async () => (await listing()).includes('E_LISTEN_IN_USE'))
    expect(await listing()).to.include(String(process.pid))
    await gamma.stop()
    await new Promise((resolve) => owner.close(resolve))
  })

  it('refuses a second agent of the same host and leaves the first one alone', async () => {
    const done = spawnSync(process.execPath, ['cli/main.ts', 'watchdog', '-c', alpha.configPath], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect(done.status).to.not.equal(0)
    expect(done.stdout + done.stderr).to.include('E_ALREADY_RUNNING')
    expect((await callOrders()).status).to.equal(200)
  })

  it('goes through the center while the agent is dead, and back to the agent by itself', async () => {
    const port = await alpha.port('orders')
    await alpha.signal('generation', 'SIGKILL')
    const tiers = new Set<string>()
    await until(60_000, 'agent again', async () => {
      const answer = await call(alpha.options.address, port)
      expect(answer.status).to.equal(200)
      tiers.add(String(answer.headers['x-mesh-tier']))
      return tiers.has('center') && answer.headers['x-mesh-tier'] === 'agent'
    })
    await alpha.ready()
  })

  it('runs on while the registry is down, also over a cold boot, and hears news when it is back', async () => {
    await nacos.end()
    expect((await callOrders()).status).to.equal(200)
    await alpha.stop()
    alpha.start()
    await until(60_000, 'serving from disk', async () => (await callOrders()).status === 200)
    await nacos.start()
    const renewed = await mesh.httpApplication('inventory', 'v9')
    await registerPlain(renewed)
    await until(
      30_000,
      'news',
      async () => version(await call(alpha.options.address, sharedPort, { host: 'inventory' })) === 'v9',
    )
  })
})
