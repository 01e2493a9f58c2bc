import { createAuth } from '../../../../../registry-adapters/nacos/auth/auth.ts'
import { defaultNacosTimes } from '../../../../../registry-adapters/nacos/config.ts'
import { GrpcSession } from '../../../../../registry-adapters/nacos/grpc/session.ts'
import { ServerList } from '../../../../../registry-adapters/nacos/server-list/server-list.ts'
import { hastyTimes } from '../../../../support/nacos/adapter-config.ts'
import { recordedDeps } from '../../../../support/registry-listener.ts'
import { expect } from 'chai'
import { clientRequests, serverRequests } from '../../../../../registry-adapters/nacos/wire/messages.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import { startGate } from '../../../../support/nacos/gate.ts'
import type { Gate } from '../../../../support/nacos/gate.ts'
import { StandInStore } from '../../../../support/nacos/stand-in/store.ts'
import { throwawayCertificates } from '../../../../support/nacos/certificates.ts'
import { eventually, recordingListener } from '../../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

const nobody = createAuth(
  { kind: 'none' },
  // never asked: there is nothing to log in with
  {} as Parameters<typeof createAuth>[1],
)

describe('gRPC session with Nacos', () => {
  const bench = adapterBench()
  const gates: Gate[] = []

  afterEach(async () => {
    await bench.closeAll()
    await Promise.all(gates.splice(0).map((gate) => gate.close()))
  })

  it('checks, sets up, and asks, in that order and on one connection', async () => {
    const server = await bench.server()
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const { adapter } = bench.open([server], { namespace: 'public', hostAddress: '10.0.0.5' })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    const types = server.grpcSeen.map(({ type }) => type)
    expect(types[0]).to.equal(clientRequests.serverCheck)
    expect(types[1]).to.equal(clientRequests.healthCheck)
    expect(types).to.include(clientRequests.subscribeService)
    expect(new Set(server.grpcSeen.map(({ peer }) => peer)).size).to.equal(1)
    expect(server.connections[0]?.module).to.equal('naming')
  })

  it('has connections of their own for naming and configuration', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    adapter.config.watch('rules', 'mesh', () => undefined)
    await eventually(() => server.connections.length === 2, 'two connections')
    expect(server.connections.map(({ module }) => module).sort()).to.deep.equal(['config', 'naming'])
    expect(new Set(server.connections.map(({ peer }) => peer)).size).to.equal(2)
  })

  it('uses the connection without waiting when the acknowledgement of the set-up is late', async () => {
    const server = await bench.server()
    server.grpc.setupAckMs = 60_000
    const { adapter } = bench.open([server])
    await eventually(() => adapter.status().connected, 'a connection')
  })

  it('works with a server that never acknowledges, as before 2.3 and when the acknowledgement is lost', async () => {
    for (const hasAbilityNegotiation of [true, false]) {
      const server = await bench.server()
      server.grpc.setupAckMs = 'never'
      server.grpc.hasAbilityNegotiation = hasAbilityNegotiation
      server.setHosts(orders, [{ ip: '10.0.0.1' }])
      const listener = recordingListener()
      bench.open([server]).adapter.subscribe(orders, listener)
      await listener.untilIds(['10.0.0.1:80'])
    }
  })

  it('waits until a slow server has registered the connection before it asks for anything (301)', async () => {
    const server = await bench.server()
    server.grpc.registerMs = 300
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const { adapter, deps } = bench.open([server])
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    expect(deps.counted('registry_losses')).to.equal(0)
  })

  it('goes to another server while one is starting (300)', async () => {
    const store = new StandInStore()
    const [starting, ready] = [await bench.server({ store }), await bench.server({ store })]
    starting.grpc.onRequest = ({ type }) =>
      type === clientRequests.serverCheck
        ? {
            kind: 'answer',
            type: 'ErrorResponse',
            body: { resultCode: 500, errorCode: 300, message: 'Server is starting' },
          }
        : undefined
    for (let index = 0; index < 4; index++) {
      const { adapter } = bench.open([starting, ready])
      await eventually(() => adapter.status().server === ready.address, 'the ready server')
    }
    expect(starting.grpcSeen.every(({ type }) => type === clientRequests.serverCheck)).to.equal(true)
  })

  it('connects again when a server forgets the connection (301), and asks for everything again', async () => {
    const server = await bench.server()
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const { adapter, deps } = bench.open([server])
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    let refusals = 0
    server.grpc.onRequest = ({ type }) => {
      if (type !== clientRequests.healthCheck || refusals > 0) return undefined
      refusals++
      return {
        kind: 'answer',
        type: 'ErrorResponse',
        body: { resultCode: 500, errorCode: 301, message: 'Connection is unregistered.' },
      }
    }
    await eventually(() => deps.counted('registry_connects', { connection: 'naming' }) === 2, 'a second connection')
    server.setHosts(orders, [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }])
    await listener.untilIds(['10.0.0.1:80', '10.0.0.2:80'])
  })

  it('comes back when the stream is closed right after the set-up', async () => {
    const server = await bench.server()
    let closed = 0
    server.grpc.onSetUp = (connection) => {
      if (closed++ < 3) connection.end()
    }
    const { adapter } = bench.open([server])
    await eventually(() => closed >= 4 && adapter.status().connected, 'a connection that stays')
  })

  it('leaves a server that hangs during the set-up', async () => {
    const store = new StandInStore()
    const [hanging, ready] = [await bench.server({ store }), await bench.server({ store })]
    hanging.grpc.onRequest = () => ({ kind: 'hang' })
    const { adapter } = bench.open([hanging, ready], { times: { requestTimeoutMs: 200, connectTimeoutMs: 300 } })
    await eventually(() => adapter.status().server === ready.address, 'the ready server')
  })

  it('answers detection at once and follows it with nothing', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    await eventually(() => adapter.status().connected, 'a connection')
    server.connections[0]!.push(serverRequests.clientDetection, {})
    await eventually(() => server.acks.some(({ type }) => type === 'ClientDetectionResponse'), 'the answer')
    expect(server.acks.find(({ type }) => type === 'ClientDetectionResponse')?.body['requestId']).to.match(/^\d+$/)
  })

  it('moves to the server that a reset names, without a moment of being lost', async () => {
    const store = new StandInStore()
    const servers = [await bench.server({ store }), await bench.server({ store })]
    const { adapter, deps } = bench.open(servers)
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.until(() => true, 'an answer')
    const [from, to] = adapter.status().server === servers[0]!.address ? servers : servers.toReversed()
    from!.connections[0]!.push(serverRequests.connectReset, { serverIp: '127.0.0.1', serverPort: String(to!.port) })
    await eventually(() => adapter.status().server === to!.address, 'the named server')
    await eventually(() => from!.connections.length === 0, 'the old connection to end')
    store.setHosts(orders, [{ ip: '10.0.0.1' }])
    await listener.untilIds(['10.0.0.1:80'])
    expect(listener.problems).to.deep.equal([])
    expect(deps.counted('registry_losses')).to.equal(0)
    expect(from!.acks.some(({ type }) => type === 'ConnectResetResponse')).to.equal(true)
  })

  it('does not follow a reset to a server that is not in the configuration', async () => {
    const server = await bench.server()
    const foreign = await bench.server()
    const { adapter, deps } = bench.open([server])
    await eventually(() => adapter.status().connected, 'a connection')
    server.connections[0]!.push(serverRequests.connectReset, {
      serverIp: '127.0.0.1',
      serverPort: String(foreign.port),
    })
    await eventually(() => deps.lines.some((line) => line.includes('not in the configuration')), 'word of it')
    expect(foreign.grpcSeen).to.deep.equal([])
    expect(adapter.status().server).to.equal(server.address)
  })

  it('notices a server that takes connections but says nothing, and leaves it', async () => {
    const store = new StandInStore()
    const servers = [await bench.server({ store }), await bench.server({ store })]
    const { adapter } = bench.open(servers, { times: { requestTimeoutMs: 150 } })
    await eventually(() => adapter.status().connected, 'a connection')
    const [silent, other] = adapter.status().server === servers[0]!.address ? servers : servers.toReversed()
    silent!.grpc.onRequest = () => ({ kind: 'hang' })
    await eventually(() => adapter.status().server === other!.address, 'the other server')
  })

  it('leaves a server that goes out of the list, and stays on one that is in it', async () => {
    const store = new StandInStore()
    const [first, second] = [await bench.server({ store }), await bench.server({ store })]
    const deps = recordedDeps()
    const places = new Map<string, readonly string[]>([['first', ['127.0.0.1']]])
    const servers = new ServerList([`first:${first.port}`, `second:${second.port}`], 20, {
      ...deps,
      resolve: (name) => Promise.resolve(places.get(name) ?? []),
      onProblem: () => undefined,
    })
    const session = new GrpcSession(
      {
        registry: 'main',
        module: 'naming',
        tenant: '',
        clientIp: '',
        grpcPortOffset: first.grpcPortOffset,
        tls: undefined,
        times: { ...defaultNacosTimes, ...hastyTimes },
      },
      { ...deps, servers, auth: nobody },
      { onReady: () => {}, onLost: () => {}, onReset: () => {}, onRoundFailed: () => {}, onPush: () => {} },
    )
    servers.start()
    session.start()
    try {
      await eventually(() => session.connection?.server.id === first.address, 'the first server')
      places.set('second', ['127.0.0.1'])
      await eventually(() => servers.servers.length === 2, 'the second name to be resolved')
      expect(session.connection?.server.id).to.equal(first.address)
      // nobody is there: the first server is out of the list
      places.set('first', ['127.0.0.99'])
      await eventually(() => session.connection?.server.id === second.address, 'the second server')
      expect(deps.counted('registry_losses')).to.equal(0)
    } finally {
      session.close()
      servers.close()
    }
  })

  it('never gives up, and tries less and less often while nobody is there', async () => {
    const server = await bench.server()
    const gate = await startGate(server.grpcPort)
    gates.push(gate)
    await gate.shut()
    const { adapter, deps } = bench.open([server], {
      grpcPortOffset: gate.port - server.port,
      transport: 'grpc',
      times: { reconnectMinMs: 10, reconnectMaxMs: 300 },
    })
    await eventually(() => deps.counted('registry_connect_failures') >= 8, 'eight failed rounds')
    expect(adapter.status()).to.deep.include({ connected: false, server: undefined })
    expect(adapter.status().problem?.code).to.equal('E_REGISTRY_UNREACHABLE')
    await gate.open()
    await eventually(() => adapter.status().connected, 'a connection')
  })

  it('says once that no server can be reached, and how long it was without one', async () => {
    const server = await bench.server()
    const { adapter, deps } = bench.open([server])
    await eventually(() => adapter.status().connected, 'a connection')
    await server.stop()
    await eventually(() => deps.counted('registry_connect_failures') >= 4, 'four failed rounds')
    await server.start()
    await eventually(() => adapter.status().connected, 'a connection')
    const said = (words: string): string[] => deps.lines.filter((line) => line.includes(words))
    expect(said('none of the 1 Nacos servers can be reached for naming; what is known stays in use')).to.have.length(1)
    expect(said('connected to Nacos for naming again, after')).to.have.length(1)
  })

  it('gives up a connection whose server does not read acknowledgements, instead of keeping them all', async function () {
    this.timeout(60_000)
    const server = await bench.server()
    const { adapter, deps } = bench.open([server], { times: { healthCheckMs: 60_000 } })
    await eventually(() => adapter.status().connected, 'a connection')
    const connection = server.connections[0]!
    connection.stopReading()
    // the bound is 1,024, and some fit into what the transport takes without being read
    for (let index = 0; index < 3000; index++)
      connection.push(serverRequests.notifySubscriber, { requestId: 'x'.repeat(2000), serviceInfo: {} })
    await eventually(() => deps.lines.some((line) => line.includes('does not read')), 'the end', 18_000)
    expect(deps.counted('registry_losses', { reason: 'ended' })).to.equal(1)
  })

  it('speaks TLS and shows its certificate, and refuses a server that it cannot check', async () => {
    const pems = await throwawayCertificates()
    const server = await bench.server({ tls: { key: pems.serverKey, cert: pems.serverCert, ca: pems.ca } })
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const tls = { ca: pems.ca, cert: pems.clientCert, key: pems.clientKey, serverName: 'nacos.test' }
    const listener = recordingListener()
    const { adapter } = bench.open([server], { tls })
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    const handle = adapter.register({
      service: orders,
      address: '10.0.0.9',
      port: 1,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    await eventually(() => handle.state === 'registered', 'a registration over HTTPS')

    const { serverName: _name, ...byAddress } = tls
    const second = bench.open([server], { tls: byAddress })
    await eventually(() => second.adapter.status().connected, 'a connection to its address')

    const { ca: _own, ...withoutCa } = tls
    const { cert: _cert, key: _key, ...withoutCertificate } = tls
    for (const wrong of [withoutCa, withoutCertificate, { ...tls, serverName: 'other.test' }]) {
      const refused = bench.open([server], { tls: wrong })
      await eventually(() => refused.deps.counted('registry_connect_failures') > 0, 'a refusal')
      expect(refused.adapter.status().connected).to.equal(false)
    }
  })
})
