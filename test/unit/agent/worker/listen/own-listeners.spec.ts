import { expect } from 'chai'
import { networkInterfaces } from 'node:os'

import { OwnListeners } from '../../../../../agent/worker/listen/own-listeners.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'

describe('addresses that lead back into the agent', () => {
  const service = keyOf('ledger')
  const app = keyOf('app-behind')
  const base = { proxyProtocol: 'off', protocol: 'tcp', virtualHost: 'x' } as const
  let specs: ListenerSpec[] = []
  let revision = 0
  const own = new OwnListeners({ specs: () => specs, revision: () => revision, now: () => 0 })

  function listen(...list: ListenerSpec[]): void {
    specs = list
    revision++
  }

  const outbound = (address: string): ListenerSpec => ({
    ...base,
    kind: 'service',
    name: 'o',
    service,
    address,
    port: 20_000,
  })
  const inbound = (address: string): ListenerSpec => ({
    ...base,
    kind: 'inbound',
    name: 'i',
    service: app,
    app: 'ledger',
    address,
    port: 21_000,
  })

  it('an inbound port leads back for its application, and is an ordinary endpoint for callers', () => {
    listen(inbound('10.0.0.5'))
    expect(own.leadsBack('10.0.0.5', 21_000, app)).to.equal(true)
    expect(own.leadsBack('::ffff:10.0.0.5', 21_000, app)).to.equal(true)
    expect(own.leadsBack('10.0.0.5', 21_000, service)).to.equal(false)
    expect(own.leadsBack('10.0.0.6', 21_000, app)).to.equal(false)
    expect(own.leadsBack('10.0.0.5', 21_001, app)).to.equal(false)
  })

  it('any other listener leads back for everybody', () => {
    listen(outbound('127.0.0.1'), inbound('10.0.0.5'))
    expect(own.leadsBack('127.0.0.1', 20_000, service)).to.equal(true)
    expect(own.leadsBack('127.0.0.1', 20_000, app)).to.equal(true)
    listen(inbound('10.0.0.5'))
    expect(own.leadsBack('127.0.0.1', 20_000, service)).to.equal(false)
  })

  it('a listener on all addresses is at each of this host, and at no other', () => {
    listen(inbound('0.0.0.0'))
    const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address))
    for (const address of ['127.0.0.1', '127.8.9.1', '::1', '0.0.0.0', ...here])
      expect(own.leadsBack(address, 21_000, app), address).to.equal(true)
    expect(own.leadsBack('192.0.2.1', 21_000, app)).to.equal(false)
  })

  it('is one in every spelling of its address', () => {
    listen(inbound('fd00::5'))
    for (const address of ['fd00::5', 'FD00:0:0:0:0:0:0:5', 'fd00::0.0.0.5'])
      expect(own.leadsBack(address, 21_000, app), address).to.equal(true)
    expect(own.leadsBack('fd00::6', 21_000, app)).to.equal(false)
  })
})
