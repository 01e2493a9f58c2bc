import { expect } from 'chai'
import { readiness } from '../../../../../agent/control/admin/readiness.ts'
import type { AdminContext } from '../../../../../agent/control/admin/context.ts'
import { openBench } from '../support/control-bench.ts'
import { fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

async function problemsWith(registry: FakeRegistry, probe: () => Promise<void>, isReady: (all: string[]) => boolean) {
  const bench = await openBench({}, { adapters: [registry], probe })
  try {
    bench.writeFile('services.d/orders.yaml', { service: 'orders', port: 8080 })
    bench.control.reload()
    bench.control.setLeading(true)
    bench.worker()
    const context = {
      control: bench.control,
      drainSwitch: { isFailed: false },
      drain: { extent: 'none' },
      faults: () => [],
      watchdog: () => undefined,
    } as unknown as AdminContext
    const problems = (): string[] => [...readiness(context).problems]
    while (!isReady(problems())) await new Promise(setImmediate)
    return problems()
  } finally {
    await bench.close()
  }
}

describe('the problems of a host that serves', () => {
  const well = (): Promise<void> => Promise.resolve()
  const registryThatSays = (change: Partial<ReturnType<FakeRegistry['status']>>): FakeRegistry => {
    const registry = fakeRegistry('main')
    const { status } = registry
    registry.status = () => ({ ...status(), ...change })
    return registry
  }

  it('are none while all is well', async () => {
    expect(await problemsWith(fakeRegistry('main'), well, () => true)).to.deep.equal([])
  })

  it('name a local application that fails its check, and why', async () => {
    const refused = (): Promise<void> => Promise.reject(new Error('connection refused'))
    const problems = await problemsWith(fakeRegistry('main'), refused, (all) => all.length > 0)
    expect(problems).to.deep.equal(['public/DEFAULT_GROUP@@orders 127.0.0.1:8080: unhealthy: connection refused'])
  })

  it('name a registry that is connected and refuses what it is asked', async () => {
    const problem = { code: 'E_REGISTRY_DENIED' as const, message: 'user not found', at: 1 }
    const problems = await problemsWith(registryThatSays({ connected: true, problem }), well, () => true)
    expect(problems).to.deep.equal(['E_REGISTRY_DENIED  main: user not found'])
  })

  it('name an application whose registration fails', async () => {
    const registry = fakeRegistry('main')
    const { register } = registry
    registry.register = (registration) => {
      const handle = register(registration)
      return { update: handle.update, deregister: handle.deregister, release: handle.release, state: 'failing' }
    }
    const problems = await problemsWith(registry, well, (all) => all.length > 0)
    expect(problems).to.deep.equal(['public/DEFAULT_GROUP@@orders 127.0.0.1:8080: its registration fails; tried again'])
  })
})
