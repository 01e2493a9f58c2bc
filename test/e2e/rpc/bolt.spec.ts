/** One connection in Bolt, whose requests go to many services and instances by the rules of the mesh. */
import { once } from 'node:events'
import net from 'node:net'
import { expect } from 'chai'

import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { BoltStatus } from '../../../rpc/bolt/layout.ts'
import { FrameKind } from '../../../rpc/frame.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { closing } from '../../support/closing.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import type { BoltParts } from '../../support/rpc/bolt-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { Replied, RpcApplication, Served } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { keyOf, snapshotOf } from '../../support/worker/snapshots.ts'
import type { ServicePlan } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const codec = new BoltCodec()
const bolt = 'bolt' as RpcProtocol
const reply = (content: string, parts: BoltParts = {}): Buffer =>
  boltFrame({ type: 0, className: 'R', ...parts, content: Buffer.from(content) })
const tail = ({ bytes }: { readonly bytes: Buffer }, count: number): string =>
  bytes.toString('utf8', bytes.length - count)
const attribute = ({ bytes, frame }: Replied | Served, name: string): string | undefined =>
  codec.attribute(bytes, 0, frame, name)
const anyPort = { address: '127.0.0.1', port: 0 }

describe('a caller in Bolt', () => {
  let mesh: StartedWorker
  let caller: RpcCaller
  const applications: RpcApplication[] = []

  async function serve(
    name: string,
    answer: (served: Served) => Buffer | undefined | Promise<Buffer> = () => reply(name.padEnd(8)),
  ): Promise<RpcApplication> {
    const application = await startApplication(codec, answer)
    applications.push(application)
    return application
  }

  const service = (name: string, some: readonly RpcApplication[], more: Partial<ServicePlan> = {}): ServicePlan => ({
    name,
    protocol: bolt,
    endpoints: some.map(({ port }) => ({ address: '127.0.0.1', port })),
    ...more,
  })

  async function start(
    services: readonly ServicePlan[],
    plan: Partial<Parameters<typeof startWorker>[0]> = {},
  ): Promise<void> {
    mesh = await startWorker({ services, rpc: { bolt: anyPort }, ...plan })
    caller = await RpcCaller.connect(codec, mesh.port('bolt'))
  }

  afterEach(async () => {
    caller.close()
    mesh.stop()
    for (const application of applications.splice(0)) await application.close()
  })

  it('reaches many services over one connection, whatever the order of the replies', async () => {
    let answerSlow: (reply: Buffer) => void = () => {}
    const slow = await serve('slow', () => new Promise((resolve) => (answerSlow = resolve)))
    const fast = await serve('fast')
    await start([service('shop.Slow', [slow]), service('shop.Fast:1.0', [fast])])
    const late = caller.call(boltRequest('shop.Slow', 'ask'))
    await eventually(() => slow.requests.length === 1)
    const early = await caller.call(boltRequest('shop.Fast:1.0', 'ask', { content: Buffer.from('the arguments') }))
    expect(tail(early, 8)).to.equal('fast    ')
    answerSlow(reply('at last '))
    expect(tail(await late, 8)).to.equal('at last ')
    expect(tail(fast.requests[0]!, 13)).to.equal('the arguments')
    expect(caller.others).to.deep.equal([])
  })

  it('has each request balanced, over few connections', async () => {
    const some = [await serve('one'), await serve('two'), await serve('three')]
    await start([service('shop.Orders', some, { policy: { loadBalancer: { kind: 'round-robin' } } })])
    const calls = Array.from({ length: 300 }, () => caller.call(boltRequest('shop.Orders', 'place')))
    const answers = (await Promise.all(calls)).map((one) => tail(one, 8).trim())
    for (const name of ['one', 'two', 'three']) expect(answers.filter((one) => one === name).length).to.equal(100)
    for (const { connections } of some) expect(connections).to.equal(1)
    expect(mesh.metric('istio_requests_total', 'bolt', '200')).to.equal(300)
  })

  it('is routed by attributes and by its method', async () => {
    const [blue, green, methods] = [await serve('blue'), await serve('green'), await serve('methods')]
    await start([service('shop.Orders', [green]), service('blue', [blue]), service('methods', [methods])])
    const to = (name: string) => ({ kind: 'forward', destinations: [{ service: keyOf(name), weight: 1 }] }) as const
    const common = { origin: { kind: 'VirtualService', name: 'test', path: '' }, timeoutMs: 0 } as const
    await mesh.change({
      virtualHosts: {
        [keyOf('shop.Orders')]: {
          name: keyOf('shop.Orders'),
          domains: [],
          tcp: [],
          http: [
            {
              ...common,
              name: 'lane',
              matches: [{ headers: { lane: { exact: 'blue' } } }],
              action: to('blue'),
            },
            { ...common, name: 'refund', matches: [{ uri: { exact: '/shop.Orders/refund' } }], action: to('methods') },
            { ...common, name: 'rest', matches: [], action: to('shop.Orders') },
          ],
        },
      },
    })
    const ask = async (method: string, parts: BoltParts = {}): Promise<string> =>
      tail(await caller.call(boltRequest('shop.Orders', method, parts)), 8).trim()
    expect(await ask('place')).to.equal('green')
    expect(await ask('place', { attributes: [['Lane', 'blue']] })).to.equal('blue')
    expect(await ask('refund')).to.equal('methods')
  })

  it('gets an error of Bolt for what cannot be served', async () => {
    const silent = await serve('silent', () => undefined)
    await start([service('nobody', []), service('silent', [silent])])
    mesh.worker.apply({ baseVersion: 1, version: 2, names: { unknown: null } })
    const status = async (request: Buffer): Promise<[number, string | undefined]> => {
      const answer = await caller.call(request)
      return [answer.frame.code, attribute(answer, 'x-mesh-error')]
    }
    expect(await status(boltRequest('nobody', 'm'))).to.deep.equal([
      BoltStatus.connectionClosed,
      'E_BALANCE_NO_ENDPOINT',
    ])
    expect(await status(boltRequest('unknown', 'm'))).to.deep.equal([
      BoltStatus.connectionClosed,
      'E_ROUTE_UNKNOWN_SERVICE',
    ])
    expect(await status(boltRequest('silent', 'm', { timeoutMs: 50 }))).to.deep.equal([
      BoltStatus.timeout,
      'E_UPSTREAM_TIMEOUT',
    ])
    expect(await status(boltRequest('', 'm'))).to.deep.equal([BoltStatus.codec, 'E_ROUTE_NO_NAME'])
    expect(caller.isClosed).to.equal(false)
  })

  it('calls the address that it names where the mesh knows no instance, inside the allowed networks', async () => {
    const old = await serve('old')
    await start([service('nobody', [])], { mesh: { fallbackNetworks: ['127.0.0.0/8'] } })
    const to = (address: string) => boltRequest('nobody', 'm', { attributes: [['x-mesh-fallback', address]] })
    expect(tail(await caller.call(to(`127.0.0.1:${old.port}`)), 8).trim()).to.equal('old')
    const refused = await caller.call(to('10.1.1.1:12200'))
    expect(attribute(refused, 'x-mesh-error')).to.equal('E_ROUTE_FALLBACK_REFUSED')
  })

  it('has its heartbeats answered here', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    caller.socket.write(codec.heartbeat(77))
    await eventually(() => caller.others.length === 1)
    expect([caller.others[0]!.frame.kind, caller.others[0]!.frame.idLow]).to.deep.equal([FrameKind.heartbeatReply, 77])
    expect(orders.heartbeats).to.equal(0)
  })

  it('sends a request without a reply', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    await caller.send(boltRequest('shop.Orders', 'note', { type: 2 }))
    await eventually(() => orders.requests.length === 1)
    expect(orders.requests[0]!.frame.kind).to.equal(FrameKind.oneWay)
    await caller.call(boltRequest('shop.Orders', 'place'))
    await eventually(() => mesh.metric('istio_requests_total', 'bolt') === 2)
    expect(caller.others).to.deep.equal([])
  })

  it('passes a trace on, with the frame otherwise as it was', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])], { mesh: { tracing: { createMissing: true, sampledShare: 1 } } })
    const sent = boltRequest('shop.Orders', 'place', { content: Buffer.from('arguments'), attributes: [['k', 'v']] })
    await caller.call(sent)
    const [got] = orders.requests
    expect(attribute(got!, 'traceparent')).to.match(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(attribute(got!, 'k')).to.equal('v')
    expect(tail(got!, 9)).to.equal('arguments')
  })

  it('moves large frames whole, both ways', async () => {
    const large = Buffer.alloc(3_000_000, 'x')
    const orders = await serve('orders', ({ bytes }) =>
      boltFrame({ type: 0, className: 'R', content: bytes.subarray(-large.length) }),
    )
    await start([service('shop.Orders', [orders])])
    const [answer, small] = await Promise.all([
      caller.call(boltRequest('shop.Orders', 'place', { content: large })),
      caller.call(boltRequest('shop.Orders', 'place', { content: large.subarray(0, 20) })),
    ])
    expect(answer.bytes.subarray(-large.length).equals(large)).to.equal(true)
    expect(small.frame.status).to.equal(200)
  })

  it('is not repeated once the endpoint may have read it, and repeated elsewhere where it was not', async () => {
    const dying = await serve('dying', ({ socket }) => {
      socket.destroy()
      return undefined
    })
    const living = await serve('living')
    await start([service('shop.Orders', [dying, living], { policy: { loadBalancer: { kind: 'round-robin' } } })])
    const answers = await Promise.all([1, 2].map(() => caller.call(boltRequest('shop.Orders', 'place'))))
    expect(answers.map(({ frame }) => frame.status).toSorted((a, b) => a - b)).to.deep.equal([200, 503])
    expect(dying.requests.length + living.requests.length).to.equal(2)
  })

  it('is repeated all the same where a rule says that it may be carried out twice', async () => {
    const dying = await serve('dying', ({ socket }) => {
      socket.destroy()
      return undefined
    })
    const busy = await serve('busy', () => reply('busy', { status: BoltStatus.busy }))
    const living = await serve('living')
    const on = ['reset', 'retriable-status-codes'] as const
    const retry = { attempts: 2, perTryTimeoutMs: 0, on, statuses: [503], backoffMs: 1, all: true }
    const policy = { loadBalancer: { kind: 'round-robin' } } as const
    await start([service('shop.Orders', [dying, busy, living], { policy, route: { retry } })])
    for (let call = 0; call < 3; call++) {
      const answer = await caller.call(boltRequest('shop.Orders', 'place', { content: Buffer.from('arguments') }))
      expect(tail(answer, 8).trim()).to.equal('living')
    }
    expect(dying.requests.length).to.be.above(0)
    expect(busy.requests.length).to.be.above(0)
    expect(living.requests.map((one) => tail(one, 9))).to.deep.equal(Array(3).fill('arguments'))
  })

  it('goes on when its endpoint leaves with goaway, and to another connection', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    await caller.call(boltRequest('shop.Orders', 'place'))
    for (const socket of orders.sockets) socket.write(codec.goAway())
    await eventually(() => orders.sockets.size === 0)
    expect((await caller.call(boltRequest('shop.Orders', 'place'))).frame.status).to.equal(200)
    expect(orders.connections).to.equal(2)
  })

  it('ends alone for a frame that breaks a rule, and the log says which', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    for (const [bytes, rule] of [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'magic'],
      [boltFrame({ table: Buffer.from([0, 0]) }), 'attributes'],
      [Buffer.concat(Array.from({ length: 200 }, (_, at) => codec.heartbeat(at))), 'heartbeats'],
    ] as const) {
      const hostile = net.connect(mesh.port('bolt'), '127.0.0.1')
      hostile.on('error', () => {})
      hostile.resume()
      hostile.write(bytes)
      await closing(hostile)
      expect(mesh.logged.filter((line) => line.includes(rule)).length, rule).to.equal(1)
    }
    expect(mesh.metric('hostmesh_rpc_broken_frames_total') + mesh.metric('hostmesh_rpc_limits_total')).to.equal(3)
    expect((await caller.call(boltRequest('shop.Orders', 'place'))).frame.status).to.equal(200)
  })

  it('is answered with an error when the endpoint speaks another protocol', async () => {
    const server = net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    await start([{ name: 'web', protocol: bolt, endpoints: [{ address: '127.0.0.1', port }] }])
    const answer = await caller.call(boltRequest('web', 'm'))
    expect(answer.frame.status).to.be.within(500, 599)
    expect(caller.isClosed).to.equal(false)
    server.close()
  })

  it('may use one id twice at once, and gets both replies under it', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    const twice = boltRequest('shop.Orders', 'place', { id: 0x7f_ff_ff_ff })
    caller.socket.write(Buffer.concat([twice, twice]))
    await eventually(() => caller.others.length === 2)
    expect(caller.others.map(({ frame }) => [frame.idLow, frame.status])).to.deep.equal([
      [0x7f_ff_ff_ff, 200],
      [0x7f_ff_ff_ff, 200],
    ])
  })

  it('never sees replies that its endpoint gives to nobody, or gives twice', async () => {
    const orders = await serve('orders', ({ frame, socket }) => {
      for (const id of [frame.idLow, frame.idLow, 0, 0x7f_ff_ff_ff]) socket.write(reply('stray   ', { id }))
      return undefined
    })
    await start([service('shop.Orders', [orders])])
    for (let call = 0; call < 3; call++) await caller.call(boltRequest('shop.Orders', 'place'))
    await eventually(() => mesh.metric('hostmesh_rpc_stray_frames_total') === 9)
    expect(caller.others).to.deep.equal([])
    expect(orders.connections).to.equal(1)
  })

  it('is told that a service speaks something else, and nothing is sent there', async () => {
    const orders = await serve('orders')
    await start([{ ...service('web', [orders]), protocol: 'http' }])
    const answer = await caller.call(boltRequest('web', 'm'))
    expect(attribute(answer, 'x-mesh-error')).to.equal('E_UPSTREAM_PROTOCOL')
    expect(orders.connections).to.equal(0)
  })

  it('is copied to a mirror, whose replies nobody sees', async () => {
    const [orders, shadow] = [await serve('orders'), await serve('shadow')]
    const mirrors = [{ destination: { service: keyOf('shadow'), weight: 1 }, share: 1 }]
    await start([service('shop.Orders', [orders], { route: { mirrors } }), service('shadow', [shadow])])
    const sent = boltRequest('shop.Orders', 'place', { content: Buffer.from('arguments') })
    expect(tail(await caller.call(sent), 8).trim()).to.equal('orders')
    await eventually(() => shadow.requests.length === 1)
    expect(tail(shadow.requests[0]!, 9)).to.equal('arguments')
    expect(caller.others).to.deep.equal([])
  })

  it('reaches a local application through its inbound port, and a service through its own port', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    const own = await RpcCaller.connect(codec, mesh.port('shop.Orders'))
    expect(tail(await own.call(boltRequest('whatever', 'place')), 8).trim()).to.equal('orders')
    own.close()
  })
  it('makes no circle of an endpoint that is the listener itself', async () => {
    const orders = await serve('orders')
    await start([service('shop.Orders', [orders])])
    const port = mesh.port('shop.Orders')
    const endpoints = [{ address: '127.0.0.1', port }]
    const { services } = snapshotOf({ services: [{ ...service('shop.Orders', [orders]), endpoints }], listen: {} })
    await mesh.change({ services })
    const own = await RpcCaller.connect(codec, port)
    const answer = await own.call(boltRequest('whatever', 'place'))
    expect(attribute(answer, 'x-mesh-error')).to.equal('E_CONNECT_FAILED')
    expect(mesh.metric('hostmesh_loop_dials_total')).to.be.within(1, 5)
    expect(mesh.metric('istio_requests_total')).to.equal(1)
    own.close()
  })
})
