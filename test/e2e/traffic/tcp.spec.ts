import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { app, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

/** Says its name, then sends back what it gets, and ends when the other side does. */
const named =
  (name: string) =>
  (socket: Socket): void => {
    socket.write(`${name}|`)
    socket.pipe(socket)
  }

/** Everything that a connection answers to `text` and a half-close. */
function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ port, host: '127.0.0.1' })
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (answer += chunk))
    socket.once('error', reject)
    socket.once('close', () => resolve(answer))
    socket.end(text)
  })
}

describe('TCP routing through a worker', () => {
  let world: TrafficWorld

  before(async () => {
    world = await TrafficWorld.start({
      caller: app('batch'),
      listeners: {
        plain: 'tcp',
        routed: 'tcp',
        split: 'tcp',
        closed: 'tcp',
        hashed: 'tcp',
        ported: 'tcp',
        retried: 'tcp',
        v1: 'tcp',
        v2: 'tcp',
      },
      apps: {
        plain: [{ tcp: named('plain') }],
        replica: [{ tcp: named('replica') }],
        split: [
          { tcp: named('blue'), labels: { colour: 'blue' }, version: 'blue' },
          { tcp: named('green'), labels: { colour: 'green' }, version: 'green' },
        ],
        hashed: ['a', 'b', 'c', 'd', 'e'].map((name) => ({ tcp: named(name) })),
        ported: [{ tcp: named('ported'), version: 'v1', labels: { 'hostmesh.app-port': '5432' } }],
        retried: [{ isDown: true }, { tcp: named('up') }],
        v1: [{ tcp: named('v1') }],
        v2: [{ tcp: named('v2') }],
      },
      rules: [
        resource(
          'VirtualService',
          `
hosts: [routed]
tcp:
- match: [{ sourceLabels: { app: web } }, { port: 1 }, { sourceSubnet: 10.0.0.0/8 }]
  route: [{ destination: { host: plain } }]
- match: [{ sourceLabels: { app: batch }, sourceSubnet: 127.0.0.0/8, destinationSubnets: [127.0.0.1] }]
  route: [{ destination: { host: replica } }]`,
          'routed',
        ),
        resource(
          'VirtualService',
          `
hosts: [split]
tcp:
- route:
  - { destination: { host: split, subset: blue }, weight: 75 }
  - { destination: { host: split, subset: green }, weight: 25 }`,
          'split',
        ),
        resource(
          'DestinationRule',
          'host: split\nsubsets: [{ name: blue, labels: { colour: blue } }, { name: green, labels: { colour: green } }]',
          'split',
        ),
        resource(
          'VirtualService',
          'hosts: [closed]\ntcp:\n- match: [{ port: 1 }]\n  route: [{ destination: { host: plain } }]',
          'closed',
        ),
        resource(
          'DestinationRule',
          'host: hashed\ntrafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } }',
          'hashed',
        ),
        resource(
          'VirtualService',
          'hosts: [ported]\ntcp:\n- route: [{ destination: { host: ported, subset: v1, port: { number: 5432 } } }]',
          'ported',
        ),
        resource(
          'DestinationRule',
          `
host: ported
trafficPolicy:
  proxyProtocol: { version: V1 }
  portLevelSettings: [{ port: { number: 5432 }, connectionPool: { tcp: { maxConnections: 1 } } }]
subsets: [{ name: v1, labels: { version: v1 } }]`,
          'ported',
        ),
        resource('DestinationRule', 'host: v1\ntrafficPolicy: { proxyProtocol: { version: V1 } }', 'v1'),
        resource('MeshPolicy', 'hosts: [v2]\nproxyProtocol: { version: V2 }', 'v2'),
      ].join('---\n'),
    })
  })
  after(() => world.stop())

  it('relays bytes both ways and half-closes', async () => {
    expect(await talk(world.port('plain'), 'hello')).to.equal('plain|hello')
  })

  it('chooses by caller and networks, the first that matches', async () => {
    expect(await talk(world.port('routed'), 'x')).to.equal('replica|x')
  })

  it('splits connections by weight over subsets', async () => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < 400; i++) {
      const [name = ''] = (await talk(world.port('split'), '')).split('|')
      counts[name] = (counts[name] ?? 0) + 1
    }
    // more than five standard deviations of 400 draws at 25 %
    expect(counts['green']).to.be.within(50, 150)
    expect(counts['blue']).to.equal(400 - counts['green']!)
  })

  it('sends one caller to one endpoint where the rule hashes its address', async () => {
    const answers = new Set<string>()
    for (let i = 0; i < 20; i++) answers.add(await talk(world.port('hashed'), ''))
    expect(answers.size).to.equal(1)
  })

  it('reaches the port that callers know, under the settings of that port', async () => {
    const first = connect({ port: world.port('ported'), host: '127.0.0.1' })
    await new Promise((resolve) => first.once('data', resolve))
    const second = await talk(world.port('ported'), 'x').catch((error: NodeJS.ErrnoException) => error.code)
    expect(second, 'beyond maxConnections of the port').to.be.oneOf(['', 'ECONNRESET'])
    first.destroy()
  })

  it('closes a connection that no route takes', async () => {
    const answer = await talk(world.port('closed'), 'x').catch((error: NodeJS.ErrnoException) => error.code)
    expect(answer).to.be.oneOf(['', 'ECONNRESET'])
  })

  it('goes to another endpoint when one refuses', async () => {
    for (let i = 0; i < 6; i++) expect(await talk(world.port('retried'), 'x')).to.equal('up|x')
  })

  it('tells the endpoint who called, in the PROXY protocol of the rule', async () => {
    expect(await talk(world.port('v1'), 'x')).to.match(/^v1\|PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nx$/)
    expect(await talk(world.port('v2'), 'x')).to.match(/^v2\|\r\n\r\n\0\r\nQUIT\n/)
  })
})
