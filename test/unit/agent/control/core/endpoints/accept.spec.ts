import { expect } from 'chai'
import { endpointId, type Endpoint, type EndpointSet } from '../../../../../../contracts/endpoint.ts'
import {
  acceptEndpoints,
  maxServiceMetadataBytes,
  type AcceptRules,
} from '../../../../../../agent/control/core/endpoints/accept.ts'
import { encodeFrame } from '../../../../../../contracts/frame.ts'
import { endpoint } from '../../support/fake-registry.ts'

const rules: AcceptRules = { allowLoopback: false, maxPerService: 100, isOwnListener: () => false }

function accept(endpoints: readonly unknown[], change: Partial<AcceptRules> = {}, known: readonly Endpoint[] = []) {
  const set: EndpointSet = {
    service: 'public/DEFAULT_GROUP@@orders',
    version: 1,
    endpoints: endpoints as Endpoint[],
    protectThreshold: 0,
    registry: 'main',
    confirmedAt: 0,
  }
  const result = acceptEndpoints(set, { ...rules, ...change }, known)
  return { ids: result.endpoints.map(endpointId), reasons: result.refused.map((one) => one.reason), ...result }
}

describe('the gate for endpoints', () => {
  it('refuses addresses that no remote instance can have, and keeps the good ones', () => {
    const bad: Readonly<Record<string, string>> = {
      '127.0.0.1:80': 'loopback',
      '[::1]:80': 'loopback',
      '[::ffff:127.0.0.1]:80': 'loopback',
      '[::ffff:7f00:1]:80': 'loopback',
      '[0:0:0:0:0:ffff:7f00:1]:80': 'loopback',
      '169.254.169.254:80': 'link-local',
      '[::ffff:169.254.169.254]:80': 'link-local',
      '[fe80::1]:80': 'link-local',
      '0.0.0.0:80': 'unspecified',
      '[::]:80': 'unspecified',
      '224.0.0.1:80': 'multicast',
      '255.255.255.255:80': 'multicast',
      '[ff02::1]:80': 'multicast',
      'evil.example.com:80': 'address',
    }
    for (const [id, reason] of Object.entries(bad)) {
      const { ids, reasons } = accept([endpoint(id), endpoint('10.0.0.1:80')])
      expect(ids, id).to.deep.equal(['10.0.0.1:80'])
      expect(reasons, id).to.deep.equal([reason])
    }
  })

  it('lets loopback in where the configuration allows it, but never link-local', () => {
    const { ids } = accept([endpoint('127.0.0.2:80'), endpoint('169.254.169.254:80')], { allowLoopback: true })
    expect(ids).to.deep.equal(['127.0.0.2:80'])
  })

  it('cuts a service off whose metadata would not fit into a frame to the workers, however they are written', () => {
    const each = 16_000
    const most = Math.floor(maxServiceMetadataBytes / (each + 1))
    const metadata = { a: '\u0001'.repeat(each) }
    const many = Array.from({ length: most + 2 }, (_, at) => endpoint(`10.0.${at >> 8}.${at & 255}:80`, { metadata }))
    const { endpoints, reasons, refused } = accept(many, { maxPerService: 10_000 })
    expect(endpoints).to.have.length(most)
    expect(reasons).to.deep.equal(['too-many'])
    expect(refused[0]!.count).to.equal(2)
    expect(() => encodeFrame({ endpoints })).to.not.throw()
  })

  it('refuses the listeners of this agent, which would be a loop', () => {
    const { reasons } = accept([endpoint('10.0.0.5:15001')], { isOwnListener: (_, port) => port === 15_001 })
    expect(reasons).to.deep.equal(['own-listener'])
  })

  it('asks of one that was accepted before, as the same object, only what may have changed: our own listeners', () => {
    const [one, other] = [endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80')]
    let looks = 0
    const counted = new Proxy(one, {
      get: (target, key) => {
        if (key === 'metadata') looks++
        return Reflect.get(target, key) as unknown
      },
    })
    const { endpoints } = accept([counted, other])
    const first = looks
    expect(accept([counted, other], {}, endpoints).ids).to.deep.equal(['10.0.0.1:80', '10.0.0.2:80'])
    expect(looks - first).to.be.below(first)
    const own = accept([counted, other], { isOwnListener: (address) => address === '10.0.0.1' }, endpoints)
    expect(own.reasons).to.deep.equal(['own-listener'])
    // what only looks the same is judged
    const twin = { ...other, metadata: { a: 1 as unknown as string } }
    expect(accept([counted, twin], {}, endpoints).reasons).to.deep.equal(['metadata'])
  })

  it('asks of another object with an address that was accepted before all but the address', () => {
    const { endpoints } = accept([endpoint('10.0.0.1:80')])
    const again = (address: string, more: object = {}): string[] =>
      accept([endpoint(address, more)], { isOwnListener: (_, port) => port === 15_001 }, endpoints).reasons
    expect(again('10.0.0.1:81')).to.deep.equal([])
    expect(again('10.0.0.1:80', { port: 0 })).to.deep.equal(['port'])
    expect(again('10.0.0.1:80', { weight: -1 })).to.deep.equal(['weight'])
    expect(again('10.0.0.1:15001')).to.deep.equal(['own-listener'])
    expect(again('127.0.0.1:80')).to.deep.equal(['loopback'])
  })

  it('refuses values outside the contract one by one', () => {
    const cases: [unknown, string][] = [
      [endpoint('10.0.0.1:1', { port: 0 }), 'port'],
      [endpoint('10.0.0.1:1', { port: 65_536 }), 'port'],
      [endpoint('10.0.0.1:1', { port: 80.5 }), 'port'],
      [endpoint('10.0.0.1:1', { weight: -1 }), 'weight'],
      [endpoint('10.0.0.1:1', { weight: Number.NaN }), 'weight'],
      [endpoint('10.0.0.1:1', { weight: 1e9 }), 'weight'],
      [endpoint('10.0.0.1:1', { metadata: { a: 'x'.repeat(20_000) } }), 'metadata'],
      [endpoint('10.0.0.1:1', { metadata: { a: 1 as unknown as string } }), 'metadata'],
      [endpoint('10.0.0.1:1', { cluster: 'x'.repeat(300) }), 'text'],
      [null, 'address'],
      [{ address: 7, port: 80 }, 'address'],
    ]
    for (const [bad, reason] of cases) expect(accept([bad]).reasons, JSON.stringify(bad)).to.deep.equal([reason])
  })

  it('sorts, and of two records of one address believes the one that may take traffic', () => {
    const { endpoints, reasons } = accept([
      endpoint('10.0.0.2:80'),
      endpoint('10.0.0.1:80', { healthy: false, version: 'a' }),
      endpoint('10.0.0.1:80', { version: 'b' }),
    ])
    expect(endpoints.map((one) => `${endpointId(one)} ${one.version}`)).to.deep.equal(['10.0.0.1:80 b', '10.0.0.2:80 '])
    expect(reasons).to.deep.equal(['duplicate'])
  })

  it('cuts a huge list at the bound', () => {
    const many = Array.from({ length: 105 }, (_, index) => endpoint(`10.0.1.${index}:80`))
    const { ids, refused } = accept(many)
    expect(ids).to.have.length(100)
    expect(refused.map(({ reason, count }) => [reason, count])).to.deep.equal([['too-many', 5]])
  })

  it('looks at no more of a million endpoints than twice the bound', () => {
    let looks = 0
    const one = endpoint('10.0.0.1:80')
    const counted = new Proxy(one, {
      get: (target, key) => {
        if (key === 'address') looks++
        return Reflect.get(target, key) as unknown
      },
    })
    const { refused } = accept(Array.from({ length: 1_000_000 }, () => counted))
    expect(looks).to.be.below(200 * 10)
    expect(refused.at(-1)).to.deep.equal({ endpoint: 'beyond 100 of a service', reason: 'too-many', count: 999_800 })
  })
})
