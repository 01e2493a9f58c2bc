import { expect } from 'chai'
import { readiness, type ReadinessView } from '../../../../../agent/control/admin/readiness.ts'
import type { Control } from '../../../../../agent/control/control.ts'
import { RuleStore } from '../../../../../agent/control/core/rules/rule-store.ts'
import { openBench } from '../support/control-bench.ts'
import { fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

async function problemsWith(registry: FakeRegistry, probe: () => Promise<void>, isReady: (all: string[]) => boolean) {
  const bench = await openBench({}, { adapters: [registry], probe })
  try {
    bench.writeFile('services.d/orders.yaml', { service: 'orders', port: 8080 })
    bench.control.reload()
    bench.control.setLeading(true)
    bench.worker()
    const context = contextOf(bench.control)
    const problems = (): string[] => [...readiness(context).problems]
    while (!isReady(problems())) await new Promise(setImmediate)
    return problems()
  } finally {
    await bench.close()
  }
}

function contextOf(control: Control): ReadinessView {
  return {
    control,
    drainSwitch: { isFailed: false },
    drain: { extent: 'none' },
    faults: () => [],
    watchdog: () => undefined,
  } as unknown as ReadinessView
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

  it('are not that what this host alone was told takes the place of a rule, but are that two rules clash', async () => {
    const rules = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource: 'local' })
    const bench = await openBench({}, { rules })
    try {
      const rule = (name: string) => ({
        name,
        text: `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name} }\nspec: { hosts: [orders], http: [{ route: [{ destination: { host: orders } }] }] }\n`,
      })
      const problems = () => readiness(contextOf(bench.control)).problems.filter((one) => one.startsWith('E_RULE'))
      bench.control.core.replaceRules('rules.d', [rule('orders')])
      bench.control.core.replaceRules('local', [rule('orders')])
      expect(rules.statuses().map(({ source, state }) => [source, state])).to.deep.include(['rules.d', 'overridden'])
      expect(problems()).to.deep.equal([])
      bench.control.core.replaceRules('rules.d', [rule('a'), rule('b')])
      bench.control.core.replaceRules('local', [])
      expect(problems()).to.deep.equal(['E_RULE_REJECTED  b: VirtualService public/b is conflict'])
    } finally {
      await bench.close()
    }
  })
})
