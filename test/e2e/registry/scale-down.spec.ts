/**
 * Instances are taken out on purpose, and are really gone: callers must not notice. Real agent, real applications, a
 * directory of files and a real Nacos as registries.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { type DemoApplication, type DemoHost, Mesh, call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { SteadyCalls, type CallCounts } from '../../support/mesh/steady-calls.ts'
import { nacosDriver, type NacosDriver } from '../../support/nacos/driver.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'

/** Two names for the same instances: one with the retries that every service has, one without any. */
const withRetries = 'orders'
const withoutRetries = 'orders-once'
const rules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: once }
spec:
  hosts: [${withoutRetries}]
  http:
    - retries: { attempts: 0 }
      route: [{ destination: { host: ${withoutRetries} } }]
`
/** An old fault showed for 30 s and in half of the calls: a part of that time, some 10 s, shows it as well. */
const watchedCalls = 3000

interface Registry {
  readonly section: object
  /** Makes this the whole list of the service. */
  put(service: string, instances: readonly DemoApplication[]): Promise<void>
  /** Switches an instance off without taking it out. */
  disable(service: string, instance: DemoApplication): Promise<void>
}

const group = 'DEFAULT_GROUP'

async function fileRegistry(directory: string): Promise<Registry> {
  await mkdir(directory, { recursive: true })
  const write = async (service: string, endpoints: readonly object[]): Promise<void> => {
    const file = join(directory, `${service}.json`)
    await writeFile(`${file}.draft`, JSON.stringify({ service, endpoints }))
    await rename(`${file}.draft`, file)
  }
  return {
    section: { name: 'files', type: 'file', directory },
    put: (service, instances) =>
      write(
        service,
        instances.map(({ address, port }) => ({ address, port })),
      ),
    disable: (service, { address, port }) => write(service, [{ address, port, enabled: false }]),
  }
}

function nacosRegistry(server: { address: string; url: string }, namespace: string): Registry {
  const driver: NacosDriver = nacosDriver(server.url, namespace)
  const present = new Map<string, readonly DemoApplication[]>()
  let removals = Promise.resolve()
  return {
    section: { name: 'main', type: 'nacos', servers: [server.address], namespace },
    put: async (name, instances) => {
      const service = { namespace, group, name }
      const before = present.get(name) ?? []
      present.set(name, instances)
      const isNew = (one: DemoApplication): boolean => !before.includes(one)
      await Promise.all(instances.filter(isNew).map((one) => driver.put(service, one)))
      const gone = before.filter((one) => !instances.includes(one))
      // one after the other, of both services: a 2.3.1 that is asked to remove several at once may answer 500
      removals = removals.then(async () => {
        for (const one of gone) await driver.remove(service, one)
      })
      await removals
    },
    disable: (name, { address, port }) => driver.put({ namespace, group, name }, { address, port, enabled: false }),
  }
}

const registries: readonly { name: string; start(context: Mocha.Context, directory: string): Promise<Registry> }[] = [
  { name: 'a directory of files', start: (_context, directory) => fileRegistry(join(directory, 'endpoints.d')) },
  {
    name: 'a real Nacos 2.3.1',
    start: async (context) => {
      await needsNacos(context)
      return nacosRegistry(await sharedNacos('2.3.1'), `scale-${process.pid}`)
    },
  },
]

for (const { name, start } of registries)
  describe(`taking instances out of ${name}`, function () {
    this.timeout(120_000)
    let mesh: Mesh
    let registry: Registry
    let agent: DemoHost
    const sections: object[] = []
    let applications: DemoApplication[] = []

    before(async function () {
      mesh = await Mesh.open(sections)
      registry = await start(this, mesh.directory)
      sections.push({ group, namespace: 'public', ...registry.section })
      if ('directory' in registry.section) sections.splice(0, 1, registry.section)
      agent = mesh.host('agent')
      Object.assign(agent.options, { rules })
      agent.start()
      await agent.ready()
    })
    after(async () => {
      await mesh?.close()
    })
    afterEach(async function () {
      if (this.currentTest?.state === 'failed') console.log(mesh?.report())
      await Promise.all(applications.splice(0).map((application) => application.close()))
    })

    const started = async (count: number): Promise<DemoApplication[]> => {
      applications = await Promise.all(
        Array.from({ length: count }, (_, index) => mesh.httpApplication('orders', `v${index}`)),
      )
      return applications
    }
    const putBoth = (instances: readonly DemoApplication[]): Promise<unknown> =>
      Promise.all([registry.put(withRetries, instances), registry.put(withoutRetries, instances)])
    const loads = (): SteadyCalls[] =>
      [withRetries, withoutRetries].map(
        (service) => new SteadyCalls({ address: agent.options.address, port: sharedPort, service }, 4, 10),
      )
    const allSeen = (load: SteadyCalls, count: number): Promise<unknown> =>
      until(20_000, `answers of ${count} instances`, () =>
        Promise.resolve([...load.counts.answers.keys()].filter((word) => word.startsWith('{')).length === count),
      )
    const called = (load: SteadyCalls, count: number): Promise<unknown> =>
      until(60_000, `${count} calls`, () => Promise.resolve(load.counts.calls >= count))
    const words = ({ calls, failed, answers }: CallCounts): string =>
      `${failed} of ${calls} failed: ${[...answers].filter(([word]) => !word.startsWith('{')).join(' ')}`

    const takeOut = async (from: number, to: number, stopAfterCalls: number): Promise<[CallCounts, CallCounts]> => {
      const instances = await started(from)
      await putBoth(instances)
      const running = loads()
      try {
        for (const load of running) await allSeen(load, from)
        for (const load of running) load.restart()
        await putBoth(instances.slice(0, to))
        await Promise.all(running.map((load) => called(load, stopAfterCalls)))
        await Promise.all(instances.slice(to).map((instance) => instance.close()))
        await Promise.all(running.map((load) => called(load, watchedCalls)))
      } finally {
        await Promise.all(running.map((load) => load.stop()))
      }
      for (const [index, load] of running.entries())
        console.log(`      ${[withRetries, withoutRetries][index]}: ${words(load.counts)}`)
      return [running[0]!.counts, running[1]!.counts]
    }

    it('10 to 2, all eight gone some seconds later: no call fails with retries, at most 1 % without', async () => {
      const [retried, once] = await takeOut(10, 2, 600)
      expect(retried.failed, words(retried)).to.equal(0)
      expect(once.failed / once.calls, words(once)).to.be.below(0.01)
      expect(once.calls).to.be.above(500)
    })

    it('10 to 2, all eight gone at the moment of the change, before anybody can have heard of it: none fails with retries, at most 1 % without', async () => {
      const [retried, once] = await takeOut(10, 2, 0)
      expect(retried.failed, words(retried)).to.equal(0)
      expect(once.failed / once.calls, words(once)).to.be.below(0.01)
    })

    it('three of four leave and stop some seconds later: no call fails', async () => {
      const [retried, once] = await takeOut(4, 1, 900)
      expect([retried.failed, once.failed], words(once)).to.deep.equal([0, 0])
    })

    it('the only one is disabled by an operator: its traffic stops within 5 s', async () => {
      const [only] = await started(1)
      await registry.put('billing', [only!])
      const { address } = agent.options
      await until(
        20_000,
        'the service',
        async () => (await call(address, sharedPort, { host: 'billing' })).status === 200,
      )
      await registry.disable('billing', only!)
      const took = await until(5000, 'no more traffic', async () => {
        const { status, headers } = await call(address, sharedPort, { host: 'billing' })
        return status === 503 && headers['x-mesh-error'] === 'E_BALANCE_NO_ENDPOINT'
      })
      console.log(`      after ${Math.round(took)} ms`)
    })
  })
