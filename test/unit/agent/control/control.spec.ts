import { expect } from 'chai'
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RelayTargetsFile } from '../../../../contracts/relay-targets.ts'
import { resolveApplication } from '../../../../agent/control/config/resolve.ts'
import { applicationFileSchema } from '../../../../agent/control/config/schema.ts'
import { applicationOf } from '../../../../agent/control/host/applications/application.ts'
import { readChecked } from '../../../../agent/control/core/state/checked-file.ts'
import { openBench, openIn, type Bench } from './support/control-bench.ts'
import { endpoint } from './support/fake-registry.ts'
import { manualClock } from '../../../support/manual-clock.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key: ServiceKey = 'public/DEFAULT_GROUP@@orders'
const outbound = {
  services: [
    { service: 'orders', port: 20_007 },
    { service: 'ledger', protocol: 'tcp' },
  ],
}

describe('control', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  const addresses = (snapshot: { services: object } = { services: {} }, service: string = key): string[] =>
    (snapshot.services as Record<string, { endpoints: { endpoints: { address: string }[] } }>)[
      service
    ]?.endpoints.endpoints.map((one) => one.address) ?? []

  it('gives a worker the whole snapshot first, then one delta per change that holds nothing else', async () => {
    bench = await openBench({ outbound })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const { listeners, virtualHosts, services } = worker.snapshot!
    expect(Object.keys(listeners)).to.have.members([
      'outbound-http',
      `outbound ${key}`,
      'outbound public/DEFAULT_GROUP@@ledger',
    ])
    expect(listeners[`outbound ${key}`]).to.deep.include({
      kind: 'service',
      port: 20_007,
      protocol: 'http',
      service: key,
    })
    expect(virtualHosts).to.have.property(key)
    expect(services).to.have.property('public/DEFAULT_GROUP@@ledger')

    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    await worker.until(() => worker.deltas.length === 1, 'delta')
    expect(Object.keys(worker.deltas[0]!).toSorted()).to.deep.equal(['baseVersion', 'endpoints', 'version'])
    expect(Object.keys(worker.deltas[0]!.endpoints!)).to.deep.equal([key])
    expect(addresses(worker.snapshot)).to.deep.equal(['10.0.0.9'])
  })

  it('has ports of tunnels where they are wanted: the shared one, and one of their own that a relay leaves alone', async () => {
    bench = await openBench({ outbound: { tunnels: { sharedPort: true, address: '127.0.0.1:1080' } } })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const { listeners } = worker.snapshot!
    expect(listeners['outbound-http']).to.deep.include({ kind: 'shared-http', port: 15_001, tunnels: true })
    expect(listeners['outbound-http']).to.not.have.property('isHeld')
    expect(listeners['outbound-tunnels']).to.deep.include({ port: 1080, tunnels: true, isHeld: true })
    bench.control.setLeading(true)
    await bench.control.close({ isHostStopping: false, deadlineMs: 0 })
    const file = JSON.parse(readFileSync(join(bench.folder, 'state', 'relay-targets.json'), 'utf8')) as RelayTargetsFile
    expect(Object.keys(file.body.listeners)).to.deep.equal(['outbound-http'])
  })

  it('answers a name that a caller used once the registry has answered, and says null for one that nobody knows', async () => {
    bench = await openBench()
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    worker.send({ type: 'need', names: ['orders', 'nobody', '../etc/passwd', '$inbound/x@@y'] })
    await worker.until(() => worker.snapshot!.names['../etc/passwd'] === null, 'impossible name')
    expect(worker.snapshot!.names).to.not.have.property('orders')
    await worker.until(() => bench.registry.subscribers(orders) === 1, 'subscription')
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    bench.registry.say({ ...orders, name: 'nobody' }, [])
    await worker.until(() => worker.snapshot!.names['orders'] === key, 'known name')
    await worker.until(() => worker.snapshot!.names['nobody'] === null, 'unknown name')
    expect(worker.snapshot!.names['$inbound/x@@y']).to.equal(null)
    expect(addresses(worker.snapshot)).to.deep.equal(['10.0.0.9'])
    // it comes up: the answer turns at once
    bench.registry.say({ ...orders, name: 'nobody' }, [endpoint('10.0.0.8:80')])
    await worker.until(() => worker.snapshot!.names['nobody'] === 'public/DEFAULT_GROUP@@nobody', 'name turns')
  })

  it('starts from disk with the registry down: ports, versions, endpoints and names are as before', async () => {
    bench = await openBench({ outbound })
    bench.control.setLeading(true)
    const first = bench.worker()
    await first.until(() => first.wholes === 1, 'whole snapshot')
    first.send({ type: 'need', names: ['payments'] })
    await first.until(() => bench.registry.subscribers({ ...orders, name: 'payments' }) === 1, 'subscription')
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    bench.registry.say({ ...orders, name: 'payments' }, [endpoint('10.0.0.7:80')])
    await first.until(() => addresses(first.snapshot, 'public/DEFAULT_GROUP@@payments').length === 1, 'endpoints')
    const before = first.snapshot!

    bench = await bench.restart()
    const second = bench.worker()
    await second.until(() => second.wholes === 1, 'whole snapshot')
    await second.until(() => second.snapshot!.names['payments'] !== undefined, 'name')
    expect(addresses(second.snapshot)).to.deep.equal(['10.0.0.9'])
    expect(addresses(second.snapshot, 'public/DEFAULT_GROUP@@payments')).to.deep.equal(['10.0.0.7'])
    expect(second.snapshot!.listeners).to.deep.equal(before.listeners)
    expect(second.snapshot!.version).to.be.at.least(before.version)
    bench.registry.goAway()
    await second.until(() => bench.control.host.readiness.pending().length === 0, 'readiness')
  })

  it('starts without a damaged snapshot and writes a good one', async () => {
    bench = await openBench({ outbound })
    bench.control.setLeading(true)
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    bench = await bench.restart()
    const file = join(bench.folder, 'state', 'snapshot.json')
    writeFileSync(file, readFileSync(file).subarray(0, 200))
    bench = await bench.restart()
    bench.control.setLeading(true)
    expect(bench.log.lines.some((line) => line.message.startsWith('E_SNAPSHOT_CORRUPT'))).to.equal(true)
    expect(bench.control.state.problems()[0]).to.contain('snapshot.json')
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    bench = await bench.restart()
    expect(readChecked(file, 1)).to.have.property('services')
  })

  it('writes relay targets before any failure: per listener the centers and the last good endpoints', async () => {
    bench = await openBench({
      outbound,
      center: { addresses: ['10.0.0.8:15443', '10.0.0.9:15443', '10.0.0.10:15443'] },
      fallbackNetworks: ['10.0.0.0/8'],
    })
    bench.writeFile('services.d/web.yaml', { service: 'web', port: 8080, check: { off: true } })
    bench.control.reload()
    bench.control.setLeading(true)
    bench.registry.say(orders, [
      endpoint('10.0.0.9:80'),
      endpoint('10.0.0.7:80', { healthy: false }),
      endpoint('10.0.0.6:80', { enabled: false }),
    ])
    await bench.control.close({ isHostStopping: false, deadlineMs: 0 })
    const file = JSON.parse(readFileSync(join(bench.folder, 'state', 'relay-targets.json'), 'utf8')) as RelayTargetsFile
    expect(file.format).to.equal(1)
    expect(readChecked(join(bench.folder, 'state', 'relay-targets.json'), 1)).to.deep.equal(file.body)
    expect(file.body.centers).to.have.members(['10.0.0.8:15443', '10.0.0.9:15443', '10.0.0.10:15443'])
    expect(file.body.listeners[`outbound ${key}`]).to.deep.equal({
      kind: 'service',
      protocol: 'http',
      service: key,
      center: true,
      direct: true,
      halfClosed: 'gone',
      endpoints: ['10.0.0.9:80'],
    })
    expect(file.body.listeners['inbound public/DEFAULT_GROUP@@web 127.0.0.1:8080']).to.deep.include({
      kind: 'inbound',
      center: false,
      endpoints: ['127.0.0.1:8080'],
    })
    expect(file.body.names).to.include({ orders: key, 'DEFAULT_GROUP@@orders': key, [key]: key })
    expect(file.body.services[key]).to.deep.equal(['10.0.0.9:80'])
    expect(file.body.fallbackNetworks).to.deep.equal(['10.0.0.0/8'])
    expect(file.body.ownAddresses).to.deep.include({ address: '127.0.0.1', port: 15_000 })
    expect(statSync(join(bench.folder, 'state', 'relay-targets.json')).mode & 0o777).to.equal(0o600)
  })

  it('writes nothing and announces nothing while another generation leads', async () => {
    bench = await openBench({ outbound })
    bench.writeFile('services.d/web.yaml', { service: 'web', port: 8080, check: { off: true } })
    bench.control.reload()
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    await worker.until(() => addresses(worker.snapshot).length === 1, 'endpoints')
    await bench.control.close({ isHostStopping: false, deadlineMs: 0 })
    expect(readdirSync(join(bench.folder, 'state'))).to.deep.equal([])
    expect(bench.registry.registrations).to.deep.equal([])
  })

  it('keeps the running configuration when the new one is bad, and takes a good one up', async () => {
    bench = await openBench({ outbound })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    bench.writeFile('agent.yaml', 'outbound: { services: 7 }\nworkers: [')
    bench.control.reload()
    expect(bench.control.problems.length).to.be.greaterThan(0)
    expect(bench.control.config.outbound.services).to.have.length(2)
    bench.writeConfig({ outbound: { services: [{ service: 'stock' }] }, workers: 3 })
    bench.control.reload()
    await worker.until(() => `outbound public/DEFAULT_GROUP@@stock` in worker.snapshot!.listeners, 'new listener')
    expect(worker.snapshot!.listeners).to.not.have.property(`outbound ${key}`)
    expect(worker.snapshot!.services).to.not.have.property(key)
    expect(bench.registry.subscribers(orders)).to.equal(0)
    expect(bench.control.problems).to.deep.equal([])
    expect(bench.control.restartNeeded).to.deep.equal(['workers'])
  })

  it('keeps an application whose file turned bad, and takes it back when the file is gone', async () => {
    bench = await openBench()
    bench.control.setLeading(true)
    bench.writeFile('services.d/web.yaml', { service: 'web', port: 8080, check: { off: true } })
    bench.control.reload()
    const worker = bench.worker()
    await worker.until(() => bench.registry.registrations.length === 1, 'registration')
    const { registration } = bench.registry.registrations[0]!
    expect(registration).to.deep.include({ address: '10.0.0.5', healthy: true, weight: 1, cluster: 'DEFAULT' })
    expect(registration.port).to.be.within(21_000, 21_999)
    expect(registration.metadata).to.deep.equal({
      'hostmesh.inbound': 'true',
      'hostmesh.app-port': '8080',
      'hostmesh.protocol': 'http',
      'hostmesh.mtls': 'off',
      zone: 'a',
    })
    bench.writeFile('services.d/web.yaml', 'service: web\nport: none\n')
    bench.control.reload()
    expect(bench.control.host.registrar.applications()).to.have.length(1)
    expect(bench.registry.registrations[0]!.state).to.equal('registered')
    rmSync(join(bench.folder, 'services.d', 'web.yaml'))
    bench.control.reload()
    await worker.until(() => bench.registry.registrations[0]!.state === 'deregistered', 'deregistration')
    await worker.until(() => Object.keys(worker.snapshot!.listeners).length === 1, 'inbound listener gone')
  })

  it('calls a local application where it listens, not through its own inbound port', async () => {
    bench = await openBench({ outbound })
    bench.writeFile('services.d/orders.yaml', { service: 'orders', port: 8080, check: { off: true } })
    bench.control.reload()
    const port = bench.control.host.listeners.portRows().find((row) => row.direction === 'inbound')!.port
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const metadata = { 'hostmesh.inbound': 'true', version: 'v1' }
    bench.registry.say(orders, [
      { ...endpoint(`10.0.0.5:${port}`), metadata },
      { ...endpoint('10.0.0.9:80'), metadata },
    ])
    await worker.until(() => addresses(worker.snapshot).length === 2, 'endpoints')
    expect(addresses(worker.snapshot)).to.deep.equal(['10.0.0.9', '127.0.0.1'])
    const [remote, local] = worker.snapshot!.services[key]!.endpoints.endpoints
    expect(remote!.metadata).to.deep.equal(metadata)
    expect(local!.metadata, 'no agent stands before it').to.deep.equal({ version: 'v1' })
  })

  it('refuses its own listeners as endpoints', async () => {
    bench = await openBench({ outbound: { ...outbound, http: '10.0.0.5:15001', address: '10.0.0.5' } })
    bench.registry.say(orders, [endpoint('10.0.0.5:15001'), endpoint('10.0.0.5:20007'), endpoint('10.0.0.9:80')])
    expect(bench.control.core.directory.view(key)!.set!.endpoints).to.have.length(1)
    expect(bench.control.core.directory.view(key)!.refused).to.equal(2)
  })

  it('degrades one service when its port cannot be bound, and names who has it', async () => {
    bench = await openBench({ outbound })
    const worker = bench.worker()
    worker.problems = [
      { listener: `outbound ${key}`, code: 'E_LISTEN_IN_USE', message: '127.0.0.1:20007: taken by nginx' },
    ]
    await worker.until(() => bench.control.core.publisher.states()[0]?.version !== 0 && worker.wholes === 1, 'applied')
    await worker.until(
      () => bench.control.host.readiness.listenerState(`outbound ${key}`) === 'failed',
      'failed listener',
    )
    expect(bench.control.host.readiness.listenerProblem(`outbound ${key}`)).to.contain('taken by nginx')
    expect(bench.control.host.readiness.listenerState('outbound public/DEFAULT_GROUP@@ledger')).to.equal('listening')
  })

  it('says by name what it is not ready for', async () => {
    bench = await openBench({ outbound })
    expect(bench.control.host.readiness.pending()).to.deep.equal([
      'worker 0: has no snapshot yet',
      `${key}: first answer of main`,
      'public/DEFAULT_GROUP@@ledger: first answer of main',
    ])
    const worker = bench.worker()
    bench.registry.say(orders, [])
    bench.registry.goAway()
    await worker.until(() => bench.control.host.readiness.pending().length === 0, 'readiness')
  })

  it('refuses to start beside another control of the same generation, which is not hurt', async () => {
    bench = await openBench()
    let code = 'none'
    try {
      await bench.control.core.publisher.listen()
    } catch (error) {
      code = (error as { code: string }).code
    }
    expect(code).to.equal('E_ALREADY_RUNNING')
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
  })

  it('takes rules up, keeps the last good version of a bad one, and shows both', async () => {
    bench = await openBench({ outbound })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const rule = (timeout: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
    - timeout: ${timeout}
      route: [{ destination: { host: orders } }]
`
    bench.writeFile('rules.d/orders.yaml', rule('7s'))
    bench.control.reload()
    await worker.until(() => worker.snapshot!.virtualHosts[key]!.http[0]!.timeoutMs === 7000, 'rule in force')
    bench.writeFile('rules.d/orders.yaml', rule('soon'))
    bench.control.reload()
    expect(bench.control.deps.rules.statuses()[0]).to.include({ state: 'rejected', inForce: true })
    expect(
      bench.log.lines.some((line) => line.level === 'error' && line.message.includes('its last good version stays')),
    ).to.equal(true)
    expect(worker.snapshot!.virtualHosts[key]!.http[0]!.timeoutMs).to.equal(7000)
  })

  it('hands registrations over to the next generation: each is announced by one of the two, none vanishes', async () => {
    bench = await openBench({ outbound })
    bench.writeFile('services.d/web.yaml', { service: 'web', port: 8080, check: { off: true } })
    bench.control.reload()
    bench.control.setLeading(true)
    const first = bench.worker()
    await first.until(() => bench.registry.registrations.length === 1, 'first announcement')
    const next = await openIn(bench.folder, undefined, { generation: 2 })
    try {
      const second = next.worker({ generation: 2 }, 2)
      await second.until(() => second.wholes === 1, 'snapshot of the second generation')
      expect(next.registry.registrations).to.deep.equal([])
      // told to the first one while the second one was already there
      bench.control.host.applications.put({
        ...bench.control.host.registrar.applications()[0]!,
        id: 'late',
        port: 8099,
        source: 'api',
      })
      await first.until(() => bench.registry.registrations.length === 2, 'second announcement')
      bench.control.setLeading(false)
      await bench.control.state.close()
      next.control.setLeading(true)
      await second.until(() => next.registry.registrations.length === 2, 'taken over')
      const ports = (one: Bench): number[] => one.registry.registrations.map(({ registration }) => registration.port)
      expect(ports(next)).to.have.members(ports(bench))
      expect(bench.registry.registrations.map((one) => one.state)).to.deep.equal(['released', 'released'])
      expect(next.registry.registrations.map((one) => one.state)).to.deep.equal(['registered', 'registered'])
    } finally {
      await next.end()
    }
  })

  it('remembers an application of the local API over a restart, announced or not', async () => {
    bench = await openBench()
    bench.control.setLeading(true)
    const [announced, waiting] = ['8080', '8081'].map((port) =>
      applicationOf(
        resolveApplication(
          '',
          applicationFileSchema.parse({ service: 'web', port: Number(port), check: { off: true } }),
          {
            namespace: 'public',
            group: 'DEFAULT_GROUP',
          },
        ),
        'api',
      ),
    )
    bench.control.host.applications.put(announced!)
    const worker = bench.worker()
    await worker.until(() => bench.registry.registrations.length === 1, 'announcement')
    worker.close()
    await worker.until(() => bench.control.core.publisher.states().length === 0, 'no worker left')
    bench.control.host.applications.put(waiting!)
    const ports = bench.control.host.listeners.portRows().map((row) => row.port)
    bench = await bench.restart()
    bench.control.setLeading(true)
    expect(bench.control.host.registrar.applications().map((one) => one.id)).to.deep.equal([announced!.id, waiting!.id])
    expect(bench.control.host.listeners.portRows().map((row) => row.port)).to.deep.equal(ports)
    expect(bench.registry.registrations.map((one) => one.state)).to.deep.equal(['registered'])
  })

  it('shares endpoints with the registry that confirms what came from disk, without a word to workers', async () => {
    bench = await openBench({ outbound })
    bench.control.setLeading(true)
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    bench = await bench.restart()
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const same = endpoint('10.0.0.9:80')
    bench.registry.say(orders, [same])
    expect(bench.control.core.store.service(key)!.endpoints.endpoints[0]).to.equal(same)
    bench.registry.say(orders, [same, endpoint('10.0.0.8:80')])
    await worker.until(() => worker.deltas.length === 1, 'one delta')
    expect(worker.deltas).to.have.length(1)
  })

  it('leads a name under a wildcard rule to the virtual host of that rule', async () => {
    bench = await openBench({ outbound: { services: [{ service: 'a.example.com', port: 20_001 }] } })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    bench.writeFile(
      'rules.d/wild.yaml',
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: wild }
spec:
  hosts: ['*.example.com']
  http: [{ route: [{ destination: { host: orders } }] }]
`,
    )
    bench.control.reload()
    const listener = (): { virtualHost?: string } =>
      worker.snapshot!.listeners['outbound public/DEFAULT_GROUP@@a.example.com'] as never
    await worker.until(() => listener().virtualHost?.includes('*') === true, 'wildcard decides')
    const host = listener().virtualHost!
    expect(worker.snapshot!.virtualHosts).to.have.property(host)
    worker.send({ type: 'need', names: ['b.example.com'] })
    await worker.until(() => worker.snapshot!.names['b.example.com'] === host, 'name under the wildcard')
    expect(worker.snapshot!.services).to.have.property(key)
    rmSync(join(bench.folder, 'rules.d', 'wild.yaml'))
    bench.control.reload()
    await worker.until(() => listener().virtualHost === 'public/DEFAULT_GROUP@@a.example.com', 'its own again')
  })

  it('does not lose or drop anything when the wall clock jumps', async () => {
    const clock = manualClock()
    bench = await openBench({ outbound }, { clock })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    bench.registry.say(orders, [
      endpoint('10.0.0.9:80'),
      endpoint('10.0.0.8:80'),
      endpoint('10.0.0.7:80'),
      endpoint('10.0.0.6:80'),
    ])
    worker.send({ type: 'need', names: ['orders'] })
    await worker.until(() => worker.snapshot!.names['orders'] === key, 'known name')
    for (const jump of [400 * 86_400_000, -401 * 86_400_000]) {
      clock.jump(jump)
      bench.registry.say(orders, [])
      clock.advance(1000)
      expect(
        bench.control.core.directory.view(key)!.set!.endpoints,
        'an empty answer is still held back',
      ).to.have.length(4)
      expect(bench.control.core.names.size).to.equal(1)
      bench.registry.say(orders, [
        endpoint('10.0.0.9:80'),
        endpoint('10.0.0.8:80'),
        endpoint('10.0.0.7:80'),
        endpoint('10.0.0.6:80'),
      ])
    }
  })

  it('gives a center its relay listener and the tier center', async () => {
    bench = await openBench({ role: 'center', relay: { address: '10.0.0.5:15443', allowedNetworks: ['10.0.0.0/8'] } })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    expect(worker.snapshot!.node.tier).to.equal('center')
    expect(worker.snapshot!.listeners).to.deep.equal({
      relay: {
        name: 'relay',
        kind: 'relay',
        address: '10.0.0.5',
        port: 15_443,
        proxyProtocol: 'required',
        maxConnections: 10_000,
        allowedNetworks: ['10.0.0.0/8'],
        mtls: 'permissive',
        hosts: ['*'],
        maxConnectionsPerHost: 1000,
      },
    })
  })
})
