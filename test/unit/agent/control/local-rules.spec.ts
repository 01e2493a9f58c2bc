import { expect } from 'chai'
import { RuleStore } from '../../../../agent/control/core/rules/rule-store.ts'
import { systemClock } from '../../../../agent/control/clock.ts'
import type { PartDeps } from '../../../../agent/control/leading-part.ts'
import { LocalRules, localSource } from '../../../../agent/control/local-rules.ts'
import { orders, ordersRoutes } from '../../../support/routing.ts'
import { openBench, type Bench } from './support/control-bench.ts'

const rules = (): RuleStore => new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource })

describe('rules that a host alone was told', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  it('do not outlive their folder, though the rules of all sources are remembered beside it', async () => {
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } }, { rules: rules() })
    const timeout = (): number => bench.control.core.store.virtualHost(orders)!.http[0]!.timeoutMs
    bench.control.setLeading(true)
    const text = ordersRoutes('- timeout: 2s\n  route: [{ destination: { host: orders } }]')
    bench.control.core.replaceRules(localSource, [{ name: 'VirtualService public/orders', text }])
    bench = await bench.restart({ rules: rules() })
    const { control, log } = bench
    expect(timeout(), 'before somebody leads').to.equal(2000)
    const deps = { config: control.config, control, clock: systemClock, log }
    const local = new LocalRules(deps as unknown as PartDeps, '1')
    await local.open()
    expect(timeout()).to.equal(0)
    await local.close()
  })
})
