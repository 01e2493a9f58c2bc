import { expect } from 'chai'
import type { RelayListener, RelayTargets } from '../../../../contracts/relay-targets.ts'
import type { RelayAddress } from '../../../../watchdog/relay/relay-addresses.ts'
import { AddressHealth, RelayAddresses, readAddress } from '../../../../watchdog/relay/relay-addresses.ts'

const listener: RelayListener = {
  kind: 'service',
  protocol: 'http',
  service: 'public/DEFAULT_GROUP@@orders',
  center: true,
  direct: true,
  endpoints: ['10.0.0.1:80', '10.0.0.2:80'],
}
const targets: RelayTargets = {
  writtenAt: 0,
  host: 'a',
  centers: ['10.9.0.1:15443', '10.9.0.2:15443'],
  listeners: {},
  services: { 'public/DEFAULT_GROUP@@orders': ['10.0.0.1:80'] },
  names: { orders: 'public/DEFAULT_GROUP@@orders' },
  fallbackNetworks: ['10.0.0.0/8', 'nonsense', '10.0.0.0/99'],
}

function ports(list: { address: string }[]): string[] {
  return list.map((target) => target.address)
}

describe('where a relayed connection may go', () => {
  it('centers come first, in the order of the host; then the endpoints, turn by turn', () => {
    const list = new RelayAddresses(new AddressHealth())
    expect(ports(list.of(targets, listener, undefined, 0))).to.deep.equal([
      '10.9.0.1',
      '10.9.0.2',
      '10.0.0.1',
      '10.0.0.2',
    ])
    expect(ports(list.of(targets, listener, undefined, 0)).slice(2)).to.deep.equal(['10.0.0.2', '10.0.0.1'])
  })

  it('an address that failed rests, longer each time, and one success forgives everything', () => {
    const health = new AddressHealth()
    const list = new RelayAddresses(health)
    health.failed('10.9.0.1|15443', 0)
    expect(ports(list.of(targets, listener, undefined, 999))[0]).to.equal('10.9.0.2')
    expect(ports(list.of(targets, listener, undefined, 1000))[0]).to.equal('10.9.0.1')
    health.failed('10.9.0.1|15443', 1000)
    expect(health.isUsable('10.9.0.1|15443', 2999)).to.equal(false)
    expect(health.isUsable('10.9.0.1|15443', 3000)).to.equal(true)
    for (let round = 0; round < 20; round++) health.failed('10.9.0.1|15443', 0)
    expect(health.isUsable('10.9.0.1|15443', 30_000), 'never longer than 30 s').to.equal(true)
    health.worked('10.9.0.1|15443')
    expect(health.failuresOf('10.9.0.1|15443')).to.equal(0)
  })

  it('an address that takes connections and is silent comes back by an answer only', () => {
    const health = new AddressHealth()
    health.silent('a')
    health.worked('a')
    expect(health.isUsable('a', 1e9)).to.equal(false)
    expect(health.failuresOf('a')).to.equal(1)
    health.answered('a')
    expect(health.isUsable('a', 0)).to.equal(true)
    health.silent('a')
    health.forgetSilentExcept(new Set(['b']))
    expect(health.isUsable('a', 0)).to.equal(true)
  })

  it('when everything rests, everything is tried', () => {
    const health = new AddressHealth()
    const list = new RelayAddresses(health)
    for (const text of [...targets.centers, ...listener.endpoints]) health.failed(text.replace(':', '|'), 0)
    expect(list.of(targets, listener, undefined, 1)).to.have.length(4)
  })

  it('remembers a bounded number of failures', () => {
    const health = new AddressHealth()
    for (let port = 0; port < 5000; port++) health.failed(`10.0.0.1|${port}`, 0)
    expect(health.failuresOf('10.0.0.1|0')).to.equal(0)
    expect(health.failuresOf('10.0.0.1|4999')).to.equal(1)
  })

  it('a tier that the listener does not allow is never used', () => {
    const list = new RelayAddresses(new AddressHealth())
    expect(list.of(targets, { ...listener, center: false, direct: false }, undefined, 0)).to.deep.equal([])
  })

  it('the shared port goes by name, and to a fallback only inside the allowed networks', () => {
    const list = new RelayAddresses(new AddressHealth())
    const shared: RelayListener = { ...listener, kind: 'shared-http', service: undefined, endpoints: [], center: false }
    const of = (service?: string, host?: string, fallback?: string): string[] =>
      ports(list.of(targets, shared, { service, host, fallback }, 0))
    expect(of('public/DEFAULT_GROUP@@orders')).to.deep.equal(['10.0.0.1'])
    expect(of('orders')).to.deep.equal(['10.0.0.1'])
    expect(of(undefined, 'orders')).to.deep.equal(['10.0.0.1'])
    expect(of('unknown', undefined, '10.1.2.3:99')).to.deep.equal(['10.1.2.3'])
    expect(of('unknown', undefined, '192.168.0.1:99')).to.deep.equal([])
    expect(of('unknown', undefined, 'localhost:99')).to.deep.equal([])
    expect(of('__proto__', 'constructor')).to.deep.equal([])
  })

  it('a fallback is never a port of the agent, nor what no endpoint may be', () => {
    const list = new RelayAddresses(new AddressHealth())
    const shared: RelayListener = { ...listener, kind: 'shared-http', service: undefined, endpoints: [], center: false }
    const open = { ...targets, fallbackNetworks: ['0.0.0.0/0', '127.0.0.0/8'] }
    const closed = { ...open, ownAddresses: [{ address: '127.0.0.1', port: 15_000 }] }
    const of = (from: RelayTargets, fallback: string): RelayAddress[] =>
      list.of(from, shared, { service: 'unknown', host: undefined, fallback }, 0)
    expect(of(open, '127.0.0.1:15000'), 'of an older release').to.have.length(1)
    expect(of(closed, '127.0.0.1:15000')).to.deep.equal([])
    expect(of(closed, '[::ffff:127.0.0.1]:15000')).to.deep.equal([])
    expect(of(closed, '169.254.169.254:80')).to.deep.equal([])
    expect(of(closed, '127.0.0.1:80')).to.deep.equal([{ tier: 'direct', address: '127.0.0.1', port: 80 }])
  })

  it('reads addresses strictly', () => {
    expect(readAddress('[::1]:80')).to.deep.equal({ address: '::1', port: 80 })
    for (const text of ['10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', ':80', 'a b:80', '::1:80']) {
      expect(readAddress(text), text).to.equal(undefined)
    }
  })
})
