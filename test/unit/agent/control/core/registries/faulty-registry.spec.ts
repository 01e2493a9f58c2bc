import { expect } from 'chai'
import { faultyRegistry } from '../../../../../../agent/control/core/registries/faulty-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'
import { endpoint, fakeRegistry } from '../../support/fake-registry.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

describe('a registry that a drill takes away', () => {
  const setUp = () => {
    const clock = manualClock()
    const inner = fakeRegistry('main', () => 7)
    const registry = faultyRegistry(inner, clock)
    const heard: string[] = []
    const subscription = registry.subscribe(orders, {
      onEndpoints: (set) => void heard.push(`${set.endpoints.length} endpoints`),
      onStale: (problem) => void heard.push(problem.message),
    })
    inner.say(orders, [endpoint('10.0.0.1:80')])
    return { clock, inner, registry, heard, subscription }
  }
  const two = [endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80')]

  it('lost: it is silent meanwhile, and heard with its newest word afterwards', () => {
    const { heard, inner, registry } = setUp()
    registry.setFault({ kind: 'lost', code: 'E_REGISTRY_DENIED', message: 'refused by a drill' })
    inner.say(orders, [])
    inner.say(orders, two)
    expect(registry.status()).to.deep.include({ connected: false })
    expect(registry.status().problem).to.include({ code: 'E_REGISTRY_DENIED' })
    registry.setFault(undefined)
    expect(heard).to.deep.equal(['1 endpoints', 'refused by a drill', '2 endpoints'])
    expect(registry.status().connected).to.equal(true)
  })

  it('empty: it names no instance meanwhile, of what it said before and of what it says now', () => {
    const { heard, inner, registry } = setUp()
    registry.setFault({ kind: 'empty' })
    inner.say(orders, two)
    expect(registry.status().connected).to.equal(true)
    registry.setFault(undefined)
    expect(heard).to.deep.equal(['1 endpoints', '0 endpoints', '0 endpoints', '2 endpoints'])
  })

  it('slow: the newest word comes late, once, and not behind the end of a subscription', () => {
    const { clock, heard, inner, registry, subscription } = setUp()
    registry.setFault({ kind: 'slow', delayMs: 2000 })
    inner.say(orders, [])
    inner.say(orders, two)
    clock.advance(1999)
    expect(heard).to.deep.equal(['1 endpoints'])
    clock.advance(1)
    expect(heard).to.deep.equal(['1 endpoints', '2 endpoints'])
    inner.say(orders, [])
    subscription.unsubscribe()
    clock.advance(5000)
    registry.setFault(undefined)
    expect(heard).to.have.length(2)
  })

  it('slow: what is still on its way at the end is heard at once', () => {
    const { clock, heard, inner, registry } = setUp()
    registry.setFault({ kind: 'slow', delayMs: 2000 })
    inner.say(orders, two)
    registry.setFault(undefined)
    expect(heard).to.deep.equal(['1 endpoints', '2 endpoints'])
    clock.advance(5000)
    expect(heard).to.have.length(2)
  })
})
