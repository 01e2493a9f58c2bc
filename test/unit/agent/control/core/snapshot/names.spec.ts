import { expect } from 'chai'
import type { ServiceKey } from '../../../../../../contracts/endpoint.ts'
import {
  Names,
  maxUnknown,
  maxUnknownPerCaller,
  unknownMs,
} from '../../../../../../agent/control/core/snapshot/names.ts'
import { recordingMetrics } from '../../support/fake-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const keyOf = (name: string): ServiceKey => `public/DEFAULT_GROUP@@${name}`

function setUp(maxNames = 100) {
  const clock = manualClock()
  const metrics = recordingMetrics()
  const standings = new Map<ServiceKey, 'known' | 'unknown' | 'unheard'>()
  const needed = new Set<string>()
  const published: Record<string, string | null> = {}
  const names = new Names({
    clock,
    metrics,
    idleMs: 600_000,
    maxNames,
    resolve: (name) => (name.startsWith('!') ? undefined : keyOf(name)),
    need: (key) => void needed.add(key),
    drop: (key) => void needed.delete(key),
    standing: (key) => standings.get(key) ?? 'unheard',
    publish: (name, host) => {
      if (host === undefined) delete published[name]
      else published[name] = host
    },
  })
  const hear = (name: string, standing: 'known' | 'unknown'): void => {
    standings.set(keyOf(name), standing)
    names.refresh(keyOf(name))
  }
  return { clock, metrics, names, needed, published, hear }
}

describe('names that callers use', () => {
  it('have no answer until the registries have spoken', () => {
    const { names, published, needed, hear } = setUp()
    names.ask('orders')
    expect(published).to.deep.equal({})
    expect(needed).to.include(keyOf('orders'))
    hear('orders', 'known')
    expect(published).to.deep.equal({ orders: keyOf('orders') })
  })

  it('that nobody knows are null, watched for a while, and then forgotten with their subscription', () => {
    const { names, published, needed, hear, clock } = setUp()
    names.ask('nobody')
    hear('nobody', 'unknown')
    expect(published).to.deep.equal({ nobody: null })
    expect(needed.size).to.equal(1)
    clock.advance(unknownMs * 1.5)
    expect(published).to.deep.equal({})
    expect(needed.size).to.equal(0)
    expect(names.size).to.equal(0)
  })

  it('that one caller invents take its own share of the unknown ones, and nobody else notices', () => {
    const { names, metrics, hear, clock } = setUp(2000)
    for (let i = 0; i < 3 * maxUnknown; i++) names.ask(`invented-${i}`, 'user 1001')
    expect(names.size).to.equal(maxUnknownPerCaller)
    expect(metrics.total('names_refused')).to.equal(3 * maxUnknown - maxUnknownPerCaller)
    expect(metrics.total('names_dropped')).to.equal(0)
    names.ask('orders', 'user 1002')
    names.ask('stock')
    expect([...names.each()]).to.include.members(['orders', 'stock'])
    hear('invented-0', 'known')
    names.ask('one-more', 'user 1001')
    expect([...names.each()], 'what is known is in no share').to.include('one-more')
    names.ask('too-much', 'user 1001')
    expect([...names.each()]).to.not.include('too-much')
    for (let i = 1; i < maxUnknownPerCaller; i++) hear(`invented-${i}`, 'unknown')
    clock.advance(unknownMs * 1.5)
    names.ask('later', 'user 1001')
    expect([...names.each()], 'what is forgotten is in no share').to.include('later')
  })

  it('that are in use stay, and are let go after idling', () => {
    const { names, published, needed, hear, clock } = setUp()
    names.ask('orders')
    hear('orders', 'known')
    for (let minute = 0; minute < 30; minute += 5) {
      clock.advance(300_000)
      names.used([keyOf('orders')])
    }
    expect(published).to.have.property('orders')
    clock.advance(800_000)
    expect(published).to.deep.equal({})
    expect(needed.size).to.equal(0)
  })

  it('stay known while their service has no instance: their callers get another answer than for a wrong name', () => {
    const { names, published, hear } = setUp()
    names.ask('orders')
    hear('orders', 'known')
    hear('orders', 'unknown')
    expect(published).to.deep.equal({ orders: keyOf('orders') })
  })

  it('are refused and counted above the bounds, and there is room again later', () => {
    const { names, published, hear, metrics } = setUp(1)
    names.ask('a')
    hear('a', 'known')
    names.ask('b')
    expect(metrics.total('names_refused')).to.equal(1)
    expect(published).to.deep.equal({ a: keyOf('a') })
  })

  it('that nobody knows make room for newer ones, those with an answer first', () => {
    const { names, metrics, hear, published } = setUp()
    names.ask('slow')
    names.ask('late')
    for (let index = 0; index < maxUnknown + 5; index++) names.ask(`!${index}`)
    expect(names.size).to.equal(maxUnknown)
    expect(metrics.total('names_dropped')).to.equal(7)
    expect(published).to.not.have.property('!6')
    expect(published).to.have.property('!7', null)
    hear('slow', 'known')
    expect(published).to.include({ slow: keyOf('slow') })
    names.ask('orders')
    hear('orders', 'known')
    expect(published, 'a flood stops no first use').to.include({ orders: keyOf('orders') })
    for (let index = 0; index < 2 * maxUnknown; index++) names.ask(`unheard ${index}`)
    expect(names.size).to.equal(maxUnknown + 2)
    hear('slow', 'unknown')
    expect(published, 'what is known is no part of it').to.include({ slow: keyOf('slow') })
  })

  it('cost no timer when there are none', () => {
    const { names, hear, clock } = setUp()
    names.ask('nobody')
    hear('nobody', 'unknown')
    clock.advance(unknownMs * 2)
    let timers = 0
    const after = clock.after.bind(clock)
    clock.after = (ms, call) => {
      timers++
      return after(ms, call)
    }
    clock.advance(10_000_000)
    expect(timers).to.equal(0)
  })
})
