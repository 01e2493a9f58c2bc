import { expect } from 'chai'
import { cuttable } from '../../../../../../agent/control/core/registries/cuttable.ts'
import { endpoint, fakeRegistry } from '../../support/fake-registry.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

describe('a registry that a drill cuts off', () => {
  it('is silent and lost meanwhile, and heard with its newest word afterwards', () => {
    const inner = fakeRegistry('main', () => 7)
    const registry = cuttable(inner, () => 7)
    const heard: string[] = []
    registry.subscribe(orders, {
      onEndpoints: (set) => void heard.push(`${set.endpoints.length} endpoints`),
      onStale: (problem) => void heard.push(problem.message),
    })
    inner.say(orders, [endpoint('10.0.0.1:80')])
    registry.setCut(true)
    inner.say(orders, [])
    inner.say(orders, [endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80')])
    expect(registry.status().connected).to.equal(false)
    registry.setCut(false)
    expect(heard).to.deep.equal(['1 endpoints', 'cut off by a drill', '2 endpoints'])
    expect(registry.status().connected).to.equal(true)
  })
})
