import { connect } from 'node:net'
import { expect } from 'chai'
import { systemClock } from '../../../../../../contracts/clock.ts'
import { encodePayload } from '../../../../../../registry-adapters/nacos/wire/payload.ts'
import type {
  EmbeddedRegistry,
  EmbeddedRegistryOptions,
} from '../../../../../../registry-adapters/nacos/embedded/embedded.ts'
import { startEmbeddedRegistry } from '../../../../../../registry-adapters/nacos/embedded/embedded.ts'
import { RawGrpc } from '../../../../../support/nacos-clients/raw-grpc.ts'
import { eventually } from '../../../../../support/registry-listener.ts'

const orders = { namespace: 'public', serviceName: 'orders', groupName: 'DEFAULT_GROUP' }
const instance = (port: number): object => ({
  ip: '10.0.0.1',
  port,
  weight: 1,
  healthy: true,
  enabled: true,
  ephemeral: true,
  clusterName: 'DEFAULT',
  metadata: {},
})
const register = (port: number): object => ({ ...orders, type: 'registerInstance', instance: instance(port) })
const ports = (body: Readonly<Record<string, unknown>>): number[] =>
  (body['serviceInfo'] as { hosts: { port: number }[] }).hosts.map(({ port }) => port)

describe('gRPC interface of the Nacos-compatible server', () => {
  let registry: EmbeddedRegistry
  const clients: RawGrpc[] = []
  const start = async (options: EmbeddedRegistryOptions = {}): Promise<void> => {
    registry = await startEmbeddedRegistry({ mergeWindowMs: 5, ...options })
  }
  const client = async (setUp: object | false = {}, headers: Record<string, string> = {}): Promise<RawGrpc> => {
    const made = new RawGrpc(`127.0.0.1:${registry.grpcPort}`, headers)
    clients.push(made)
    if (setUp !== false) await made.setUp(setUp)
    return made
  }
  afterEach(async () => {
    for (const one of clients.splice(0)) one.close()
    await registry.close()
  })

  it('answers a check before set-up, and refuses everything else with 301', async () => {
    await start()
    const raw = await client(false)
    const { body } = await raw.request('ServerCheckRequest', {})
    expect(body).to.include({ resultCode: 200, supportAbilityNegotiation: true, success: true })
    expect(body['connectionId']).to.match(/^\d+_127\.0\.0\.1_\d+_1$/)
    const refused = await raw.request('InstanceRequest', register(1))
    expect(refused.type).to.equal('ErrorResponse')
    expect(refused.body).to.include({ errorCode: 301, success: false })
  })

  it('tells its abilities to clients that tell theirs, and to no others', async () => {
    await start()
    const modern = await client({ abilityTable: { a: true } })
    expect((await modern.push('SetupAckRequest')).body['abilityTable']).to.deep.equal({
      supportPersistentInstanceByGrpc: true,
    })
    const old = await client({ abilities: {} })
    await old.request('InstanceRequest', register(1))
    expect(old.unread).to.deep.equal([])
  })

  it('registers, finds, lists and removes', async () => {
    await start()
    const raw = await client()
    expect((await raw.request('InstanceRequest', register(1))).body).to.include({
      type: 'registerInstance',
      resultCode: 200,
    })
    const found = await raw.request('ServiceQueryRequest', { ...orders, cluster: '', healthyOnly: false })
    expect(found.type).to.equal('QueryServiceResponse')
    expect(ports(found.body)).to.deep.equal([1])
    const list = await raw.request('ServiceListRequest', { ...orders, serviceName: '', pageNo: 1, pageSize: 10 })
    expect(list.body).to.deep.include({ count: 1, serviceNames: ['orders'] })
    await raw.request('InstanceRequest', { ...register(1), type: 'deregisterInstance' })
    expect(ports((await raw.request('ServiceQueryRequest', orders)).body)).to.deep.equal([])
  })

  it('replaces what the connection published of a service, also by a batch', async () => {
    await start()
    const raw = await client()
    await raw.request('InstanceRequest', register(1))
    await raw.request('InstanceRequest', register(2))
    expect(ports((await raw.request('ServiceQueryRequest', orders)).body)).to.deep.equal([2])
    const batch = { ...orders, type: 'batchRegisterInstance', instances: [instance(3), instance(4)] }
    expect((await raw.request('BatchInstanceRequest', batch)).type).to.equal('BatchInstanceResponse')
    expect(ports((await raw.request('ServiceQueryRequest', orders)).body)).to.deep.equal([3, 4])
  })

  it('keeps persistent instances beyond the connection', async () => {
    await start()
    const [raw, other] = [await client(), await client()]
    await raw.request('PersistentInstanceRequest', register(1))
    raw.close()
    await eventually(() => registry.status().connections === 1, 'the connection to end')
    expect(ports((await other.request('ServiceQueryRequest', orders)).body)).to.deep.equal([1])
  })

  it('pushes changes to subscribers until they unsubscribe', async () => {
    await start()
    const [watcher, provider] = [await client(), await client()]
    const first = await watcher.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    expect(ports(first.body)).to.deep.equal([])
    await provider.request('InstanceRequest', register(1))
    const push = await watcher.push('NotifySubscriberRequest')
    expect(ports(push.body)).to.deep.equal([1])
    expect(push.body['serviceInfo']).to.include({ name: 'orders', groupName: 'DEFAULT_GROUP' })
    await watcher.request('SubscribeServiceRequest', { ...orders, subscribe: false, clusters: '' })
    expect(registry.status().subscriptions).to.equal(0)
  })

  it('merges the changes of one window into one push', async () => {
    await start({ mergeWindowMs: 1000 })
    const [watcher, provider] = [await client(), await client()]
    await watcher.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    for (const port of [1, 2, 3]) await provider.request('InstanceRequest', register(port))
    expect(ports((await watcher.push('NotifySubscriberRequest')).body)).to.deep.equal([3])
    expect(watcher.unread.filter(({ type }) => type === 'NotifySubscriberRequest')).to.deep.equal([])
  })

  it('sends a push again that was not acknowledged', async () => {
    await start({ pushAckTimeoutMs: 50 })
    const [watcher, provider] = [await client(), await client()]
    watcher.silentFor.add('NotifySubscriberRequest')
    await watcher.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    await provider.request('InstanceRequest', register(1))
    const [first, second] = [
      await watcher.push('NotifySubscriberRequest'),
      await watcher.push('NotifySubscriberRequest'),
    ]
    expect(ports(second.body)).to.deep.equal([1])
    expect(second.body['requestId']).not.to.equal(first.body['requestId'])
  })

  it('keeps a slow subscriber waiting with the newest state only, and serves the others meanwhile', async () => {
    await start({
      limits: { maxPushBufferBytes: 100_000, maxUnackedPushes: 4 },
      mergeWindowMs: 1,
      pushAckTimeoutMs: 60_000,
    })
    const [slow, quick, provider] = [await client(), await client(), await client()]
    for (const one of [slow, quick]) {
      await one.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    }
    slow.pause()
    const changes = 60
    for (let change = 1; change <= changes; change++) {
      const instances = Array.from({ length: 100 }, (_, index) => ({ ...instance(1000 + index), weight: change }))
      await provider.request('BatchInstanceRequest', { ...orders, type: 'batchRegisterInstance', instances })
      expect(ports((await quick.push('NotifySubscriberRequest')).body)).to.have.length(100)
    }
    slow.resume()
    let heard = 0
    let weight = 0
    while (weight !== changes) {
      const { body } = await slow.push('NotifySubscriberRequest')
      weight = (body['serviceInfo'] as { hosts: { weight: number }[] }).hosts[0]!.weight
      heard++
    }
    expect(heard).to.be.lessThan(changes / 2)
  })

  it('never lets the time of a push go back, whatever the clock does', async () => {
    let now = 5_000_000
    await start({ deps: { clock: { ...systemClock, wall: () => now } } })
    const raw = await client()
    const timeOf = async (): Promise<unknown> =>
      ((await raw.request('ServiceQueryRequest', orders)).body['serviceInfo'] as { lastRefTime: number }).lastRefTime
    expect(await timeOf()).to.equal(5_000_000)
    now = 1_000
    expect(await timeOf()).to.equal(5_000_000)
  })

  it('takes an instance away with the connection that published it', async () => {
    await start()
    const [watcher, provider] = [await client(), await client()]
    await watcher.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    await provider.request('InstanceRequest', register(1))
    expect(ports((await watcher.push('NotifySubscriberRequest')).body)).to.deep.equal([1])
    provider.close()
    expect(ports((await watcher.push('NotifySubscriberRequest')).body)).to.deep.equal([])
  })

  it('asks a silent client whether it is alive, and cuts it off when it says nothing', async () => {
    await start({ detectAfterMs: 100, detectAnswerMs: 2000, sweepMs: 20 })
    const [silent, lively] = [await client(), await client()]
    silent.silentFor.add('ClientDetectionRequest')
    await lively.push('ClientDetectionRequest')
    await silent.closed
    await eventually(() => registry.status().connections === 1, 'the silent one to be forgotten')
    await lively.push('ClientDetectionRequest')
    expect(registry.status().connections).to.equal(1)
  })

  it('publishes, reads, compares, announces and removes configuration', async () => {
    await start()
    const [writer, reader] = [await client(), await client()]
    const at = { dataId: 'd', group: 'g', tenant: '' }
    expect((await reader.request('ConfigQueryRequest', at)).body).to.include({ errorCode: 300, resultCode: 500 })
    const listen = { listen: true, configListenContexts: [{ ...at, md5: '' }] }
    expect((await reader.request('ConfigBatchListenRequest', listen)).body['changedConfigs']).to.deep.equal([])
    await writer.request('ConfigPublishRequest', { ...at, content: 'x', additionMap: { type: 'yaml' } })
    expect((await reader.push('ConfigChangeNotifyRequest')).body).to.include(at)
    expect((await reader.request('ConfigQueryRequest', at)).body).to.include({ content: 'x', contentType: 'yaml' })
    const stale = await writer.request('ConfigPublishRequest', { ...at, content: 'y', casMd5: '00' })
    expect(stale.body).to.include({ resultCode: 500, success: false })
    const again = await reader.request('ConfigBatchListenRequest', listen)
    expect(again.body['changedConfigs']).to.deep.equal([at])
    await writer.request('ConfigRemoveRequest', at)
    await reader.push('ConfigChangeNotifyRequest')
    await reader.request('ConfigBatchListenRequest', { ...listen, listen: false })
    expect(registry.status().listenedDocuments).to.equal(0)
  })

  it('asks for a token, and says 403 in the answer that the client waits for', async () => {
    await start({ users: [{ username: 'app', password: 'right' }] })
    const stranger = await client()
    const refused = await stranger.request('SubscribeServiceRequest', { ...orders, subscribe: true, clusters: '' })
    expect(refused.type).to.equal('SubscribeServiceResponse')
    expect(refused.body).to.include({ errorCode: 403, resultCode: 500 })
    const login = await fetch(`http://${registry.address}/nacos/v1/auth/login?username=app&password=right`, {
      method: 'POST',
    })
    const { accessToken } = (await login.json()) as { accessToken: string }
    const known = await client({}, { accessToken })
    expect((await known.request('InstanceRequest', register(1))).body).to.include({ resultCode: 200 })
  })

  const refused: readonly (readonly [string, string, object, number])[] = [
    ['a type that nobody knows', 'FooRequest', {}, 302],
    ['a type of every object', 'constructor', {}, 302],
    ['no instance', 'InstanceRequest', { ...orders, type: 'registerInstance' }, 400],
    [
      'an impossible port',
      'InstanceRequest',
      { ...orders, type: 'registerInstance', instance: { ip: '1.1.1.1', port: 99_999 } },
      400,
    ],
    ['a service name with a space', 'InstanceRequest', { ...register(1), serviceName: 'a b' }, 400],
    ['an operation that nobody knows', 'InstanceRequest', { ...register(1), type: 'x' }, 400],
    [
      'a batch that is no list',
      'BatchInstanceRequest',
      { ...orders, type: 'batchRegisterInstance', instances: 5 },
      400,
    ],
    [
      '1001 instances in a batch',
      'BatchInstanceRequest',
      { ...orders, type: 'batchRegisterInstance', instances: Array.from({ length: 1001 }, (_, n) => instance(n)) },
      400,
    ],
    ['documents that are no list', 'ConfigBatchListenRequest', { listen: true, configListenContexts: {} }, 400],
    ['a document without content', 'ConfigPublishRequest', { dataId: 'd', group: 'g' }, 400],
  ]
  for (const [what, type, body, errorCode] of refused)
    it(`refuses ${what} with ${errorCode}, and goes on`, async () => {
      await start()
      const raw = await client()
      expect((await raw.request(type, body)).body).to.include({ errorCode, success: false })
      expect((await raw.request('HealthCheckRequest', {})).body).to.include({ resultCode: 200 })
    })

  it('answers a payload that is none with an error, and cuts a stream that sends one', async () => {
    await start()
    const [raw, other] = [await client(), await client()]
    expect((await raw.requestBytes(Buffer.from([0xff, 0xff, 0xff]))).type).to.equal('ErrorResponse')
    const list = encodePayload({ type: 'InstanceRequest', body: Buffer.from('[1]') })
    expect((await raw.requestBytes(list)).type).to.equal('ErrorResponse')
    raw.sendBytes(Buffer.from([0xff, 0xff]))
    await raw.closed
    expect((await other.request('HealthCheckRequest', {})).type).to.equal('HealthCheckResponse')
  })

  it('closes a connection that does not speak HTTP/2, and goes on', async () => {
    await start()
    const socket = connect(registry.grpcPort, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\n\r\n')
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    expect((await (await client()).request('HealthCheckRequest', {})).type).to.equal('HealthCheckResponse')
  })

  it('closes connections above the bound at once and counts them', async () => {
    const counted: string[] = []
    const metrics = { count: (_: string, labels: object) => counted.push(Object.values(labels).join()), gauge() {} }
    await start({ limits: { maxGrpcConnections: 1 }, deps: { metrics } })
    const first = await client()
    const second = connect(registry.grpcPort, '127.0.0.1')
    second.on('error', () => {})
    await new Promise((resolve) => second.once('close', resolve))
    expect(counted).to.include('maxGrpcConnections')
    expect((await first.request('HealthCheckRequest', {})).type).to.equal('HealthCheckResponse')
  })

  it('refuses subscriptions and documents above the bounds of a connection', async () => {
    await start({ limits: { maxSubscriptions: 1, maxConfigListeners: 1 } })
    const raw = await client()
    const subscribe = (serviceName: string): object => ({ ...orders, serviceName, subscribe: true, clusters: '' })
    expect((await raw.request('SubscribeServiceRequest', subscribe('a'))).body).to.include({ resultCode: 200 })
    expect((await raw.request('SubscribeServiceRequest', subscribe('a'))).body).to.include({ resultCode: 200 })
    expect((await raw.request('SubscribeServiceRequest', subscribe('b'))).body).to.include({ errorCode: 503 })
    const contexts = ['a', 'b'].map((dataId) => ({ dataId, group: 'g', tenant: '', md5: '' }))
    const listen = await raw.request('ConfigBatchListenRequest', { listen: true, configListenContexts: contexts })
    expect(listen.body).to.include({ errorCode: 503 })
  })

  it('tells its clients to connect again when it closes', async () => {
    await start()
    const raw = await client()
    const closing = registry.close()
    await raw.push('ConnectResetRequest')
    await raw.closed
    await closing
  })
})
