import { expect } from 'chai'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

const hashed = (host: string, hash: string): string =>
  resource('DestinationRule', `host: ${host}\ntrafficPolicy: { loadBalancer: { consistentHash: { ${hash} } } }`, host)

describe('consistent hashing and declared services through a worker', () => {
  let world: TrafficWorld
  const outside = createServer((incoming, response) => response.end(`outside ${incoming.headers.host}`))

  before(async () => {
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve))
    const { port } = outside.address() as AddressInfo
    const five = [{}, {}, {}, {}, {}]
    world = await TrafficWorld.start({
      apps: { users: five, sessions: five, cache: five, sources: five },
      rules: [
        hashed('users', 'httpHeaderName: X-User'),
        hashed('sessions', 'httpCookie: { name: session, path: /, ttl: 1h }, maglev: { tableSize: 1009 }'),
        hashed('cache', 'httpQueryParameterName: key'),
        hashed('sources', 'useSourceIp: true'),
        resource(
          'ServiceEntry',
          `hosts: [api.example.com]\nports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]\nresolution: STATIC\nendpoints: [{ address: 127.0.0.1 }]`,
          'api',
        ),
        resource(
          'VirtualService',
          'hosts: [by-port]\nhttp:\n- route: [{ destination: { host: api.example.com, port: { number: 80 } } }]',
          'by-port',
        ),
        resource('DestinationRule', 'host: api.example.com\nsubsets: [{ name: none, labels: { a: b } }]', 'api'),
      ].join('---\n'),
    })
  })
  after(async () => {
    await world.stop()
    await new Promise((resolve) => outside.close(resolve))
  })

  it('one header value always meets the same endpoint, many values meet all of them', async () => {
    const seen = new Set<string>()
    // where endpoints stand on the ring is new each time: of so many values none passes one of the five over
    for (let user = 0; user < 120; user++) {
      const counts = await world.countBodies(3, 'users/', { headers: { 'x-user': `user-${user}` } })
      expect(Object.keys(counts), `user-${user}`).to.have.length(1)
      seen.add(Object.keys(counts)[0]!)
    }
    expect(seen.size).to.equal(5)
  })

  it('requests without the key are spread', async () => {
    expect(Object.keys(await world.countBodies(60, 'users/')).length).to.be.above(2)
  })

  it('a caller without the cookie gets one, and stays where it was with it', async () => {
    for (let i = 0; i < 10; i++) {
      const first = await world.call('sessions/')
      const [field] = first.headers['set-cookie'] ?? []
      expect(field).to.match(/^session=[0-9a-f]{16}; Max-Age=3600; Path=\/; HttpOnly$/)
      const cookie = `other=1; ${field!.split(';')[0]}`
      expect(await world.countBodies(5, 'sessions/', { headers: { cookie } })).to.deep.equal({ [first.body]: 5 })
      expect((await world.call('sessions/', { headers: { cookie } })).headers).to.not.have.property('set-cookie')
    }
  })

  it('a query parameter and the address of the caller are keys too', async () => {
    for (const keyed of ['a', 'b', 'c']) {
      expect(Object.values(await world.countBodies(5, `cache/?x=1&key=${keyed}`))).to.deep.equal([5])
    }
    expect(Object.values(await world.countBodies(10, 'sources/'))).to.deep.equal([10])
  })

  it('a ServiceEntry is reached by its name, and by the port that callers know', async () => {
    expect((await world.call('api.example.com/x')).body).to.equal('outside api.example.com')
    expect((await world.call('by-port/')).body).to.equal('outside by-port')
  })
})
