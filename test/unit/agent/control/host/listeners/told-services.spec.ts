import { expect } from 'chai'
import { serviceKey } from '../../../../../../contracts/endpoint.ts'
import {
  maxToldServices,
  ToldServices,
  type ToldService,
} from '../../../../../../agent/control/host/listeners/told-services.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const told = (name: string, more: Partial<ToldService> = {}): ToldService => ({
  service: { namespace: 'public', group: 'DEFAULT_GROUP', name },
  protocol: 'http',
  port: undefined,
  halfClosed: 'gone',
  until: undefined,
  ...more,
})

describe('services that a host was told of', () => {
  const names = (services: ToldServices): string[] => services.all().map(({ service }) => service.name)

  it('go at their time, each at its own, and are told of once', () => {
    const clock = manualClock()
    let changes = 0
    const services = new ToldServices({ clock, onChanged: () => changes++ })
    services.put(told('stays'))
    services.put(told('late', { until: clock.wall() + 20_000 }))
    services.put(told('soon', { until: clock.wall() + 5000 }))
    expect(names(services)).to.deep.equal(['late', 'soon', 'stays'])
    clock.advance(5000)
    expect([names(services), changes]).to.deep.equal([['late', 'stays'], 4])
    clock.advance(60_000)
    expect([names(services), changes]).to.deep.equal([['stays'], 5])
  })

  it('stay by what the last run left, without those whose time is over by now', () => {
    const clock = manualClock()
    const services = new ToldServices({ clock, onChanged: () => {} })
    services.adopt([told('over', { until: clock.wall() - 1 }), told('stays', { until: clock.wall() + 1000 })])
    expect(names(services)).to.deep.equal(['stays'])
    clock.advance(1000)
    expect(names(services)).to.deep.equal([])
  })

  it('are no more than the bound; one that is there may change', () => {
    const services = new ToldServices({ clock: manualClock(), onChanged: () => {} })
    for (let at = 0; at < maxToldServices; at++) expect(services.put(told(`s-${at}`))).to.equal(true)
    expect(services.put(told('more'))).to.equal(false)
    expect(services.put(told('s-7', { port: 20_007 }))).to.equal(true)
    expect(services.remove(serviceKey(told('s-8').service))).to.equal(true)
    expect(services.put(told('more'))).to.equal(true)
  })
})
