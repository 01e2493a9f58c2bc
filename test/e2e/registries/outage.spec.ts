/**
 * A host whose registries are dead for a while, all kinds at once: what lives is called as before, also by a generation
 * that was started meanwhile. `HOSTMESH_OUTAGE_SECONDS`: how long; ten minutes in `npm run soak:registries`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type DemoApplication, type DemoHost, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import { SteadyCalls } from '../../support/mesh/steady-calls.ts'
import { needsEtcd } from '../../support/etcd/server.ts'
import { openRegistries } from '../../support/registries/every-kind.ts'
import type { RunningRegistry } from '../../support/registries/running-registry.ts'
import { needsZooKeeper } from '../../support/zookeeper/server.ts'

const outageMs = Number(process.env['HOSTMESH_OUTAGE_SECONDS'] ?? 3) * 1000
const startMs = 120_000
/** Longest until a dead registry is seen as such, and until one that is back is. */
const patienceMs = 60_000
const pauseMs = 20

describe(`a host whose registries of all kinds are dead for ${outageMs / 1000} s`, function () {
  let mesh: Mesh | undefined
  let registries: RunningRegistry[] = []
  let host: DemoHost
  let first: DemoApplication
  let second: DemoApplication

  before(async function () {
    await needsEtcd(this)
    await needsZooKeeper(this)
    const sections: object[] = []
    mesh = await Mesh.open(sections)
    first = await mesh.httpApplication('living', 'v1')
    second = await mesh.httpApplication('living', 'v2')
    registries = await openRegistries({ folder: mesh.directory, port: first.port, ttl: 1 })
    for (const registry of registries) {
      sections.push(registry.section)
      await announce(registry, first)
    }
    host = mesh.host('alpha', {
      outbound: registries.map((registry) => ({ service: serviceOf(registry), protocol: 'http' as const })),
      extra: { watchdog: { startDeadline: '120s', probeTimeout: '10s' } },
    })
    host.start()
    await host.ready(startMs)
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })
  after(async () => {
    await mesh?.close()
    await Promise.all(registries.map((registry) => registry.stop()))
  })

  const serviceOf = ({ name }: RunningRegistry): string => `on-${name}`
  const announce = (registry: RunningRegistry, { address, port }: DemoApplication): Promise<void> =>
    registry.put(serviceOf(registry), { address, port, weight: 1 })
  const connected = async (): Promise<string[]> => {
    const info = (await host.json('/server_info?format=hostmesh')) as {
      registries: { name: string; connected: boolean }[]
    }
    return info.registries.filter((one) => one.connected).map(({ name }) => name)
  }

  it('fails no call to what is announced in any of them, not even across a hot restart, and hears news afterwards', async function () {
    this.timeout(outageMs + 300_000)
    const callers = registries.map((registry) => ({
      registry,
      calls: new SteadyCalls(
        { address: host.options.address, port: sharedPort, service: serviceOf(registry) },
        1,
        pauseMs,
      ),
    }))
    await until(patienceMs, 'every registry answers', async () => (await connected()).length === registries.length)
    await Promise.all(registries.map((registry) => registry.kill()))
    const over = delay(outageMs)
    await until(patienceMs, 'all are seen as dead', async () => (await connected()).length === 0)
    expect(await host.reload()).to.equal('done')
    await over
    await Promise.all(registries.map((registry) => registry.restart()))
    await until(patienceMs, 'all are connected', async () => (await connected()).length === registries.length)
    // all bare addresses have one port, so the second application cannot be told there
    const changing = callers.filter(({ registry }) => registry.name !== 'dns-addresses')
    await Promise.all(changing.map(({ registry }) => announce(registry, second)))
    for (const { registry, calls } of changing)
      await until(patienceMs, `${registry.name}: the new instance`, async () => calls.counts.answers.size === 2)
    for (const { registry, calls } of callers) {
      const { calls: made, failed, answers } = await calls.stop()
      expect(failed, `${registry.name}: failed of ${made}, ${[...answers.keys()].join(', ')}`).to.equal(0)
      expect(made, registry.name).to.be.greaterThan(outageMs / 100)
    }
  })
})
