import { expect } from 'chai'
import type { ServiceName } from '../../../../../contracts/endpoint.ts'
import { clientRequests, serverRequests } from '../../../../../registry-adapters/nacos/wire/messages.ts'
import { encodePayload } from '../../../../../registry-adapters/nacos/wire/payload.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer } from '../../../../support/nacos/fault-server.ts'
import { startGate } from '../../../../support/nacos/gate.ts'
import { StandInStore, wireInstance } from '../../../../support/nacos/stand-in/store.ts'
import { eventually, recordingListener } from '../../../../support/registry-listener.ts'
import type { RecordingListener } from '../../../../support/registry-listener.ts'

const orders: ServiceName = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}:80`)
const hosts = (count: number) => Array.from({ length: count }, (_, index) => ({ ip: `10.0.0.${index + 1}` }))

describe('discovery from Nacos', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  const watching = async (server: FaultServer, count: number, more: Parameters<typeof bench.open>[1] = {}) => {
    server.setHosts(orders, hosts(count))
    const opened = bench.open([server], more)
    const listener = recordingListener()
    opened.adapter.subscribe(orders, listener)
    await listener.untilIds(ids(count))
    return { ...opened, listener }
  }
  const push = (server: FaultServer, info: object): void =>
    server.connections
      .find(({ module }) => module === 'naming')!
      .push(serverRequests.notifySubscriber, { serviceInfo: info })
  /** Sees that everything pushed before has been looked at: a later push arrived. */
  const sync = async (server: FaultServer, listener: RecordingListener, count: number): Promise<void> => {
    server.setHosts(orders, hosts(count))
    await listener.untilIds(ids(count))
  }

  it('asks for all clusters and filters itself', async () => {
    const server = await bench.server()
    server.setHosts(orders, [
      { ip: '10.0.0.1', clusterName: 'BJ' },
      { ip: '10.0.0.2', clusterName: 'SH' },
    ])
    const listener = recordingListener()
    bench.open([server], { clusters: ['SH'] }).adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.2:80'])
    const asked = server.grpcSeen.find(({ type }) => type === clientRequests.subscribeService)
    expect(asked?.body).to.include({ clusters: '', subscribe: true, namespace: 'public', groupName: 'DEFAULT_GROUP' })
  })

  it('keeps namespaces and groups apart, although pushes do not name the namespace', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    const names: ServiceName[] = [orders, { ...orders, namespace: 'dev' }, { ...orders, group: 'G2' }]
    const listeners = names.map((name, index) => {
      server.setHosts(name, [{ ip: `10.0.${index}.1` }])
      const listener = recordingListener()
      adapter.subscribe(name, listener)
      return listener
    })
    for (const [index, listener] of listeners.entries()) await listener.untilIds([`10.0.${index}.1:80`])
    server.setHosts(names[1]!, [{ ip: '10.0.1.1' }, { ip: '10.0.1.2' }])
    await listeners[1]!.untilIds(['10.0.1.1:80', '10.0.1.2:80'])
    expect(listeners[0]!.sets).to.have.length(1)
    expect(listeners[2]!.sets).to.have.length(1)
  })

  it('subscribes each service once per connection, and again after a loss, whoever listens how often', async () => {
    const server = await bench.server()
    const { adapter, listener } = await watching(server, 2)
    for (let index = 0; index < 5; index++) adapter.subscribe(orders, recordingListener())
    await server.stop()
    await eventually(() => listener.problems.length === 1, 'word of the loss')
    await server.start()
    server.setHosts(orders, hosts(3))
    await listener.untilIds(ids(3))
    const subscriptions = server.grpcSeen.filter(({ type }) => type === clientRequests.subscribeService)
    const byPeer = new Map<string, number>()
    for (const { peer } of subscriptions) byPeer.set(peer, (byPeer.get(peer) ?? 0) + 1)
    expect([...byPeer.values()]).to.deep.equal([1, 1])
  })

  it('acknowledges a push before anybody has looked at it, and skips to the newest one', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 1)
    listener.sets.length = 0
    for (let count = 2; count <= 60; count++)
      push(server, {
        name: 'orders',
        groupName: 'DEFAULT_GROUP',
        hosts: hosts(count).map(wireInstance),
        lastRefTime: Date.now() + count,
      })
    await listener.untilIds(ids(60))
    await eventually(
      () => server.acks.filter(({ type }) => type === 'NotifySubscriberResponse').length === 59,
      'all acknowledgements',
    )
    expect(listener.sets.length).to.be.lessThan(59)
  })

  it('refuses pushes about services that nobody listens to, torn JSON and nonsense, counts them and stays connected', async () => {
    const server = await bench.server()
    const { deps, listener } = await watching(server, 2)
    push(server, { name: 'billing', groupName: 'DEFAULT_GROUP', hosts: [wireInstance({})], lastRefTime: Date.now() })
    push(server, { name: 'orders', groupName: 'OTHER', hosts: [], lastRefTime: Date.now() })
    push(server, {})
    const connection = server.connections[0]!
    connection.pushBytes(
      encodePayload({ type: serverRequests.notifySubscriber, body: Buffer.from('{"serviceInfo":{"name":"ord') }),
    )
    connection.pushBytes(Buffer.from('garbage'))
    connection.push('FutureRequest', { x: 1 })
    await sync(server, listener, 3)
    expect(deps.counted('registry_push_refused', { reason: 'not-subscribed' })).to.equal(2)
    expect(deps.counted('registry_push_refused', { reason: 'malformed' })).to.equal(4)
    expect(listener.sets.map((set) => set.endpoints.length)).to.deep.equal([2, 3])
    expect(deps.counted('registry_losses')).to.equal(0)
  })

  it('refuses an answer about another service and asks on', async () => {
    const server = await bench.server()
    server.setHosts(orders, hosts(1))
    let wrong = 0
    server.grpc.onRequest = ({ type }) =>
      type === clientRequests.subscribeService && wrong++ < 1
        ? {
            kind: 'answer',
            body: {
              resultCode: 200,
              serviceInfo: {
                name: 'billing',
                groupName: 'DEFAULT_GROUP',
                hosts: [wireInstance({ ip: '10.6.6.6' })],
                lastRefTime: 1,
              },
            },
          }
        : undefined
    const { adapter, deps } = bench.open([server])
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(ids(1))
    expect(deps.counted('registry_push_refused', { reason: 'malformed' })).to.equal(1)
  })

  it('refuses a push that is older than the list in use, and logs it once', async () => {
    const server = await bench.server()
    const { deps, listener } = await watching(server, 3)
    const old = { name: 'orders', groupName: 'DEFAULT_GROUP', hosts: hosts(2).map(wireInstance), lastRefTime: 1000 }
    push(server, old)
    await eventually(() => deps.counted('registry_push_refused', { reason: 'older' }) === 1, 'a refusal')
    push(server, old)
    await eventually(() => deps.counted('registry_push_refused', { reason: 'older' }) === 2, 'another refusal')
    await sync(server, listener, 4)
    expect(listener.sets.map((set) => set.endpoints.length)).to.deep.equal([3, 4])
    expect(deps.lines.filter((line) => line.includes('older than the one in use'))).to.have.length(1)
  })

  it('goes on when the clock of the server goes back: the answer to a new question is believed', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 3, { times: { safetyPollMs: 200 } })
    server.store.clockSkewMs = -3_600_000
    server.setHosts(orders, hosts(4))
    await listener.untilIds(ids(4))
  })

  it('holds an empty push and drops it when the server has the instances after all', async () => {
    const server = await bench.server()
    const { deps, listener } = await watching(server, 3)
    push(server, { name: 'orders', groupName: 'DEFAULT_GROUP', hosts: [], lastRefTime: Date.now() + 5 })
    await eventually(() => deps.gauged('registry_held_services') === 1, 'the push to be held')
    await eventually(() => deps.gauged('registry_held_services') === 0, 'the end of it')
    expect(listener.sets.map((set) => set.endpoints.length - (set.held?.length ?? 0))).to.deep.equal([3, 0, 3])
    expect(listener.sets.every((set) => set.endpoints.length === 3)).to.equal(true)
    expect(deps.counted('registry_held', { reason: 'empty' })).to.equal(1)
    expect(deps.lines.join('\n')).to.include('keeping them until a second answer confirms it')
  })

  it('tells of an empty list when a second answer of the only server confirms it', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 3)
    server.setHosts(orders, [])
    await listener.untilIds([])
    expect(server.grpcSeen.some(({ type }) => type === clientRequests.serviceQuery)).to.equal(true)
  })

  it('shows at once that a shrinking list is held, uses what is new in it, and says when it is confirmed', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 10)
    server.setHosts(orders, [{ ip: '10.0.0.1' }, { ip: '10.0.9.9' }])
    await listener.until((set) => set.held !== undefined, 'a set with held endpoints')
    const held = listener.last!
    expect(held.held).to.deep.equal(ids(10).slice(1).sort())
    expect(listener.ids).to.have.length(11)
    await listener.untilIds(['10.0.0.1:80', '10.0.9.9:80'])
    expect(listener.confirmed.map((set) => set.endpoints.length)).to.deep.equal([2])
    expect(listener.last!.held).to.equal(undefined)
  })

  it('asks a second server at once whether a list really shrank, and believes it', async () => {
    const [lying, honest] = [await bench.server(), await bench.server()]
    for (const server of [lying, honest]) server.setHosts(orders, hosts(10))
    honest.grpc.onRequest = () => ({ kind: 'status', code: 14 })
    const { adapter, deps } = bench.open([lying, honest], { times: { confirmAfterMs: 60_000 } })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(ids(10))
    expect(adapter.status().server).to.equal(lying.address)
    push(lying, {
      name: 'orders',
      groupName: 'DEFAULT_GROUP',
      hosts: hosts(2).map(wireInstance),
      lastRefTime: Date.now() + 5,
    })
    await eventually(
      () => deps.lines.some((line) => line.includes('the second answer has the instances')),
      'the second opinion',
    )
    expect(listener.sets.every((set) => set.endpoints.length === 10)).to.equal(true)
    expect(listener.last!.held).to.equal(undefined)
    honest.setHosts(orders, hosts(2))
    push(lying, {
      name: 'orders',
      groupName: 'DEFAULT_GROUP',
      hosts: hosts(2).map(wireInstance),
      lastRefTime: Date.now() + 50,
    })
    await listener.untilIds(ids(2))
  })

  it('believes no loss until the servers have settled after an outage of all of them', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 5, { times: { settleMs: 700, confirmAfterMs: 50 } })
    await server.stop()
    await eventually(() => listener.problems.length === 1, 'word of the outage')
    server.store.forgetInstances()
    await server.start()
    await eventually(
      () => server.grpcSeen.filter(({ type }) => type === clientRequests.subscribeService).length === 2,
      'the second subscription',
    )
    server.setHosts(orders, hosts(2))
    server.setHosts(orders, hosts(5))
    await eventually(() => listener.sets.length === 2, 'the whole list')
    expect(listener.sets.map((set) => set.endpoints.length)).to.deep.equal([5, 5])
    server.store.forgetInstances()
    await server.stop()
    await eventually(() => listener.problems.length === 2, 'word of the second outage')
    const backAt = performance.now()
    await server.start()
    await listener.untilIds([])
    expect(performance.now() - backAt).to.be.greaterThan(650)
  })

  describe('while servers come and go', () => {
    const numbered = (...numbers: number[]) => numbers.map((at) => ({ ip: `10.0.0.${at}` }))
    const named = (...numbers: number[]): string[] => numbers.map((at) => `10.0.0.${at}:80`)

    /** Connected to the first of three servers; the second can be asked, the third has just gone away. */
    const inTrouble = async (times: object) => {
      const [present, second, third] = [await bench.server(), await bench.server(), await bench.server()]
      for (const server of [present, second]) server.setHosts(orders, numbered(1, 2, 3, 4))
      for (const server of [second, third]) server.grpc.onRequest = () => ({ kind: 'status', code: 14 })
      const { adapter, deps } = bench.open([present, second, third], { times: { settleMs: 60_000, ...times } })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      await listener.untilIds(named(1, 2, 3, 4))
      expect(adapter.status().server).to.equal(present.address)
      await third.stop()
      await eventually(() => deps.counted('registry_trouble_signs', { sign: 'member-lost' }) === 1, 'a sign of trouble')
      return { present, second, third, deps, listener }
    }

    it('keeps an instance that vanishes, uses what is new at once, and says that it came back', async () => {
      const { present, deps, listener } = await inTrouble({ doubtMs: 60_000 })
      present.setHosts(orders, numbered(1, 2, 3, 5))
      await listener.untilIds(named(1, 2, 3, 4, 5))
      expect(deps.gauged('registry_held_services')).to.equal(1)
      expect(deps.counted('registry_held', { reason: 'doubtful' })).to.equal(1)
      expect(deps.lines.join('\n')).to.include('vanished while Nacos servers come and go; they stay in use')
      present.setHosts(orders, numbered(1, 2, 3, 4, 5))
      await eventually(() => deps.gauged('registry_held_services') === 0, 'the end of the doubt')
      expect(listener.sets.every(({ endpoints }) => endpoints.length >= 4)).to.equal(true)
      expect(deps.lines.join('\n')).to.include('instances that had vanished are back')
    })

    it('believes the loss, after a time, when a second server lacks the instance, too', async () => {
      const { present, second, deps, listener } = await inTrouble({ doubtMs: 300 })
      second.setHosts(orders, numbered(1, 2, 3))
      const startedAt = performance.now()
      present.setHosts(orders, numbered(1, 2, 3))
      await listener.untilIds(named(1, 2, 3))
      expect(performance.now() - startedAt).to.be.greaterThan(295)
      expect(deps.lines.join('\n')).to.include('a second look confirms it')
      expect(deps.gauged('registry_held_services')).to.equal(0)
    })

    it('believes it as soon as the second server lacks it, and until then not', async () => {
      const { present, second, listener } = await inTrouble({ doubtMs: 100 })
      const asked = (): number => second.httpSeen.filter(({ path }) => path.endsWith('/instance/list')).length
      present.setHosts(orders, [])
      await eventually(() => asked() >= 2, 'two questions')
      expect(listener.ids).to.deep.equal(named(1, 2, 3, 4))
      second.setHosts(orders, numbered(4))
      await listener.untilIds(named(4))
      second.setHosts(orders, [])
      await listener.untilIds([])
    })

    it('takes the word of its own server when the second one still differs after the time to settle', async () => {
      const { present, listener } = await inTrouble({ settleMs: 700, doubtMs: 100 })
      present.setHosts(orders, numbered(1))
      await listener.untilIds(named(1))
    })

    it('asks the lone server again when there is no other', async () => {
      const server = await bench.server()
      server.setHosts(orders, numbered(1, 2))
      const { adapter, deps } = bench.open([server], { times: { settleMs: 60_000, doubtMs: 200, heartbeatMs: 20 } })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      await listener.untilIds(named(1, 2))
      const here = { ...orders, name: 'here' }
      const words = { address: '10.2.0.1', port: 1, weight: 1, cluster: 'DEFAULT', metadata: {} }
      const handle = adapter.register({ service: here, healthy: true, enabled: true, ...words })
      await eventually(() => handle.state === 'registered', 'a registration')
      server.store.removeInstance(here, '10.2.0.1', 1)
      await eventually(() => deps.counted('registry_trouble_signs', { sign: 'forgotten' }) === 1, 'a sign of trouble')
      const startedAt = performance.now()
      server.setHosts(orders, numbered(1))
      await listener.untilIds(named(1))
      expect(performance.now() - startedAt).to.be.greaterThan(195)
    })

    it('does not ask anybody about an ordinary loss in calm times', async () => {
      const [present, second] = [await bench.server(), await bench.server()]
      for (const server of [present, second]) server.setHosts(orders, numbered(1, 2, 3, 4))
      second.grpc.onRequest = () => ({ kind: 'status', code: 14 })
      const { adapter, deps } = bench.open([present, second], { times: { doubtMs: 60_000, confirmAfterMs: 60_000 } })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      await listener.untilIds(named(1, 2, 3, 4))
      present.setHosts(orders, numbered(1, 2))
      await listener.untilIds(named(1, 2))
      expect(second.httpSeen).to.deep.equal([])
      expect(deps.counted('registry_held')).to.equal(0)
    })
  })

  it('finds what a lost push should have told, by asking again now and then', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 1, { times: { safetyPollMs: 200 } })
    server.grpc.isPushing = false
    server.setHosts(orders, hosts(2))
    await listener.untilIds(ids(2))
    await eventually(
      () => server.grpcSeen.filter(({ type }) => type === clientRequests.subscribeService).length >= 2,
      'a renewal of the subscription, which may be what was lost',
    )
  })

  it('repeats a question that was refused or lost, without ado for the others', async () => {
    const server = await bench.server()
    server.setHosts(orders, hosts(1))
    const other = { ...orders, name: 'billing' }
    server.setHosts(other, hosts(2))
    let failures = 0
    server.grpc.onRequest = ({ type, body }) => {
      if (type !== clientRequests.subscribeService || body['serviceName'] !== 'orders' || failures >= 4)
        return undefined
      return (
        [
          { kind: 'status', code: 14 },
          { kind: 'bytes', bytes: Buffer.from([1, 2, 3]) },
          { kind: 'hang' },
          { kind: 'answer', body: { resultCode: 500, errorCode: 500, message: 'x' } },
        ] as const
      )[failures++]
    }
    const { adapter } = bench.open([server], { times: { requestTimeoutMs: 200 } })
    const [first, second] = [recordingListener(), recordingListener()]
    adapter.subscribe(orders, first)
    adapter.subscribe(other, second)
    await second.untilIds(ids(2))
    await first.untilIds(ids(1))
    expect(failures).to.equal(4)
  })

  it('takes a list close to the largest message, and refuses a larger one without losing the rest', async function () {
    this.timeout(60_000)
    const server = await bench.server()
    const { listener, deps } = await watching(server, 1)
    const huge = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        wireInstance({
          ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
          metadata: { filler: 'x'.repeat(700) },
        }),
      )
    server.setHosts(orders, huge(10_000))
    await listener.until((set) => set.endpoints.length === 10_000, '10,000 endpoints', 15_000)
    server.setHosts(orders, huge(14_000))
    await eventually(() => deps.counted('registry_losses') > 0, 'the refusal', 15_000)
    expect(listener.last?.endpoints).to.have.length(10_000)
  })

  it('shows every instance as usable when the server says that too few are healthy', async () => {
    const server = await bench.server()
    const { listener } = await watching(server, 1)
    push(server, {
      name: 'orders',
      groupName: 'DEFAULT_GROUP',
      hosts: hosts(2).map(wireInstance),
      lastRefTime: Date.now() + 5,
      reachProtectionThreshold: true,
    })
    const set = await listener.untilIds(ids(2))
    expect(set.protectThreshold).to.equal(1)
  })

  it('asks over HTTP while no server speaks gRPC, says so, and goes back to gRPC when one does', async () => {
    const server = await bench.server()
    server.setHosts(orders, hosts(1))
    const gate = await startGate(server.grpcPort)
    try {
      await gate.shut()
      const { adapter, deps } = bench.open([server], { grpcPortOffset: gate.port - server.port })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      await listener.untilIds(ids(1))
      expect(deps.gauged('registry_http_only')).to.equal(1)
      expect(adapter.status()).to.deep.include({ connected: true, server: server.address })
      server.setHosts(orders, hosts(2))
      await listener.untilIds(ids(2))
      await gate.open()
      await eventually(() => deps.gauged('registry_http_only') === 0, 'gRPC')
      server.setHosts(orders, hosts(3))
      await listener.untilIds(ids(3))
      expect(listener.problems).to.deep.equal([])
    } finally {
      await bench.closeAll()
      await gate.close()
    }
  })

  it('asks the next server over HTTP when one resets, tears or hangs', async () => {
    const store = new StandInStore()
    const [bad, good] = [await bench.server({ store, dialect: '1.x' }), await bench.server({ store, dialect: '1.x' })]
    store.setHosts(orders, hosts(2))
    const replies = [
      { kind: 'reset' },
      { kind: 'truncated', body: '{"name":' },
      { kind: 'hang' },
      { kind: 'answer', status: 200, body: '{"hosts' },
      { kind: 'answer', status: 500, body: 'x' },
    ] as const
    let at = 0
    bad.http.onRequest = () => replies[at++ % replies.length]
    const { adapter } = bench.open([bad, good], {
      transport: 'http',
      api: 'v1',
      times: { requestTimeoutMs: 200, httpPollMs: 50 },
    })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(ids(2))
    store.setHosts(orders, hosts(3))
    await listener.untilIds(ids(3))
    expect(listener.sets.every((set) => set.endpoints.length >= 2)).to.equal(true)
  })

  it('lets the server forget a service when the last listener is gone', async () => {
    const server = await bench.server()
    const { adapter, listener } = await watching(server, 1)
    const second = adapter.subscribe(orders, listener)
    const third = adapter.subscribe({ ...orders, name: 'billing' }, recordingListener())
    await eventually(() => server.connections[0]!.subscribed.size === 2, 'two subscriptions')
    third.unsubscribe()
    second.unsubscribe()
    await eventually(() => server.connections[0]!.subscribed.size === 1, 'one subscription')
    expect(adapter.status().subscriptions).to.equal(1)
  })
})

describe('the names of services', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  for (const dialect of ['2.x', '3.x'] as const)
    it(`are listed right after the start, before there is a connection (${dialect})`, async () => {
      const server = await bench.server({ dialect })
      server.setHosts(orders, hosts(1))
      const { adapter } = bench.open([server])
      expect(await adapter.listServices(10, AbortSignal.timeout(10_000))).to.deep.equal([
        'public/DEFAULT_GROUP@@orders',
      ])
    })

  it('are waited for no longer than the caller wants, and the reason is told', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    await server.stop()
    const failure = await adapter.listServices(10, AbortSignal.timeout(1500)).catch((error: unknown) => error)
    expect(failure)
      .to.have.property('code')
      .that.matches(/^E_REGISTRY_(UNREACHABLE|TIMEOUT)$/)
  })
})
