import { expect } from 'chai'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { request as httpRequest } from 'node:http'
import { app, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'
import { eventually } from '../../support/worker/eventually.ts'

/** A connection of the test, with everything that came back. */
class Caller {
  received = ''
  isEnded = false
  private readonly socket: Socket

  constructor(port: number, first: Buffer | string) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (data) => (this.received += data.toString('latin1')))
    this.socket.once('close', () => (this.isEnded = true)).on('error', () => {})
    this.socket.write(first)
  }

  write(data: Buffer | string): void {
    this.socket.write(data)
  }

  async until(text: string): Promise<void> {
    await eventually(() => this.received.includes(text))
  }

  async ended(): Promise<string> {
    await eventually(() => this.isEnded)
    return this.received
  }

  close(): void {
    this.socket.destroy()
  }
}

const connectTo = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`
const socksGreeting = Buffer.of(5, 1, 0)
/** The answer to it. */
const noPassword = '\x05\x00'
const socksTo = (name: string, port: number): Buffer =>
  Buffer.concat([Buffer.of(5, 1, 0, 3, name.length), Buffer.from(name), Buffer.of(port >> 8, port & 255)])

describe('tunnels through the shared port of a worker', () => {
  let world: TrafficWorld
  const callers: Caller[] = []
  const open = (first: Buffer | string): Caller => {
    const caller = new Caller(world.port('shared'), first)
    callers.push(caller)
    return caller
  }

  before(async () => {
    world = await TrafficWorld.start({
      caller: app('cart'),
      tunnels: true,
      limits: { parkTimeoutMs: 200 },
      apps: {
        orders: [{}],
        echo: [{ tcp: (socket) => socket.pipe(socket).on('error', () => {}) }],
        down: [{ isDown: true }],
        guarded: [{}],
      },
      rules: resource(
        'AuthorizationPolicy',
        'action: DENY\ntargetRefs: [{ kind: Service, group: "", name: guarded }]\nrules: [{ to: [{ operation: { paths: [/secret] } }] }]',
        'none',
        'hostmesh.io/side: Outbound',
      ),
    })
  })
  afterEach(() => {
    for (const caller of callers.splice(0)) caller.close()
  })
  after(() => world.stop())

  it('carries the bytes of CONNECT to a service, also those that came at once', async () => {
    const caller = open(`${connectTo('echo:7')}early `)
    await caller.until('200 Connection Established\r\n\r\nearly ')
    caller.write('and late')
    await caller.until('early and late')
  })

  it('carries those of SOCKS5, HTTP among them', async () => {
    const caller = open(socksGreeting)
    await caller.until(noPassword)
    caller.write(
      Buffer.concat([socksTo('orders', 80), Buffer.from('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')]),
    )
    const said = await caller.ended()
    expect(said.startsWith(`${noPassword}\x05\x00\x00\x01`)).to.equal(true)
    expect(said.slice(12)).to.match(/^HTTP\/1\.1 200 OK[^]*orders$/)
  })

  it('serves HTTP on the same port as before, by Host and as a proxy', async () => {
    expect((await world.call('orders/')).body).to.equal('orders')
    const status = await new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        host: '127.0.0.1',
        port: world.port('shared'),
        path: 'http://orders/a',
        headers: { host: 'x' },
      })
      outgoing
        .once('response', (response) => resolve(response.resume().statusCode))
        .once('error', reject)
        .end()
    })
    expect(status).to.equal(200)
    expect(world.received('orders').at(-1)!.headers.host).to.equal('orders')
  })

  it('refuses what no registry and no rule knows, this host’s own ports among them, in words and by code', async () => {
    const { port } = world.app('orders').endpoint
    for (const target of [
      'unknown:80',
      `127.0.0.1:${port}`,
      `localhost:${world.port('shared')}`,
      '169.254.169.254:80',
      `[::1]:${port}`,
    ]) {
      const said = await open(connectTo(target)).ended()
      expect(said, target).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_ROUTE_UNKNOWN_SERVICE/)
    }
    const socks = open(Buffer.concat([socksGreeting, socksTo('unknown', 80)]))
    expect((await socks.ended()).startsWith(`${noPassword}\x05\x04`)).to.equal(true)
  })

  it('refuses a service whose endpoints cannot be reached, and one that a policy denies by what a tunnel hides', async () => {
    expect(await open(connectTo('down:80')).ended()).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CONNECT_FAILED/)
    expect(await open(connectTo('guarded:80')).ended()).to.match(/^HTTP\/1\.1 403 [^]*E_AUTHORIZATION_DENIED/)
    expect(world.received('guarded')).to.deep.equal([])
  })

  it('refuses what it cannot read', async () => {
    expect(await open('CONNECT orders HTTP/1.1\r\nHost: orders\r\n\r\n').ended()).to.match(/^HTTP\/1\.1 400 /)
    expect(await open(Buffer.of(5, 1, 9)).ended()).to.equal('\x05\xff')
    const bind = open(Buffer.concat([socksGreeting, Buffer.of(5, 2, 0, 1, 0, 0, 0, 0, 0, 0)]))
    expect((await bind.ended()).startsWith(`${noPassword}\x05\x07`)).to.equal(true)
  })
})
