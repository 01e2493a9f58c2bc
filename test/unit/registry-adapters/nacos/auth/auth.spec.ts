import { expect } from 'chai'
import { createHmac } from 'node:crypto'
import { clientRequests } from '../../../../../registry-adapters/nacos/wire/messages.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer, FaultServerOptions } from '../../../../support/nacos/fault-server.ts'
import { eventually, recordingListener } from '../../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const password = 'pässword&secret=1'
const credentials = { kind: 'password', username: 'mesh', password } as const
const registration = {
  service: orders,
  address: '10.2.0.1',
  port: 1,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: {},
}

describe('identity towards Nacos', () => {
  const bench = adapterBench()
  let isTokenGood: Set<string>
  let serial: number

  beforeEach(() => {
    isTokenGood = new Set()
    serial = 0
  })
  afterEach(() => bench.closeAll())

  const guardedServer = async (options: FaultServerOptions = {}, ttlSeconds = 18_000): Promise<FaultServer> => {
    const server = await bench.server(options)
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    server.http.login = {
      username: 'mesh',
      password,
      ttlSeconds,
      token: () => {
        const token = `token-${++serial}`
        isTokenGood.add(token)
        return token
      },
    }
    server.http.isTokenGood = (token) => token !== undefined && isTokenGood.has(token)
    server.grpc.isTokenGood = server.http.isTokenGood
    return server
  }
  const logins = (server: FaultServer) => server.httpSeen.filter(({ path }) => path.endsWith('/login'))

  for (const [dialect, path] of [
    ['1.x', '/v1/auth/users/login'],
    ['2.x', '/v1/auth/users/login'],
    ['3.x', '/v3/auth/user/login'],
  ] as const)
    it(`logs in once at a ${dialect} server and uses the token for everything`, async () => {
      const server = await guardedServer({ dialect })
      const { adapter } = bench.open([server], { credentials })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      const handle = adapter.register(registration)
      await eventually(() => handle.state === 'registered', 'the registration')
      await listener.untilIds(['10.0.0.1:80', '10.2.0.1:1'])
      await adapter.config.publish('rules', 'mesh', 'a: 1', undefined, AbortSignal.timeout(5000))
      expect(logins(server).at(-1)?.path).to.equal(path)
      expect(serial).to.equal(1)
    })

  it('puts neither password nor token into a URL or a log line', async () => {
    const server = await guardedServer()
    const { adapter, deps } = bench.open([server], { credentials })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered' && listener.sets.length > 0, 'both')
    await handle.deregister(1000)
    const text = `${server.httpSeen.map(({ target }) => target).join('\n')}\n${deps.lines.join('\n')}`
    for (const secret of [password, encodeURIComponent(password), 'password', 'token-1'])
      expect(text).to.not.include(secret)
  })

  it('logs in again when the token has expired early, on both transports, and nobody notices', async () => {
    const server = await guardedServer()
    const { adapter, deps } = bench.open([server], { credentials })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the registration')
    isTokenGood.clear()
    const other = recordingListener()
    adapter.subscribe({ ...orders, name: 'billing' }, other)
    await other.untilIds([])
    isTokenGood.clear()
    const beats = deps.counted('registry_heartbeats', { operation: 'beat', result: 'known' })
    await eventually(
      () => deps.counted('registry_heartbeats', { operation: 'beat', result: 'known' }) > beats + 1,
      'heartbeats',
    )
    expect(deps.counted('registry_heartbeats', { result: 'failed' })).to.equal(0)
    expect(deps.counted('registry_losses')).to.equal(0)
  })

  it('renews a token before it ends', async () => {
    const server = await guardedServer({}, 1)
    const handle = bench.open([server], { credentials, times: { heartbeatMs: 100 } }).adapter.register(registration)
    await eventually(() => serial >= 3, 'two renewals')
    expect(handle.state).to.equal('registered')
    expect(
      server.httpSeen.filter(({ headers, path }) => !path.endsWith('/login') && headers.authorization === undefined),
    ).to.deep.equal([])
  })

  it('says that user and password are wrong, keeps still for a while, and does not lock the account', async () => {
    const server = await guardedServer()
    const { adapter, deps } = bench.open([server], { credentials: { ...credentials, password: 'wrong' } })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'failing', 'a refusal')
    expect(deps.lines.join('\n')).to.include('E_REGISTRY_DENIED').and.include('check user and password')
    expect(logins(server).filter(({ path }) => path.includes('/v1/'))).to.have.length(1)
    expect(listener.sets).to.deep.equal([])
  })

  it('says that a permission is missing, and keeps what it has', async () => {
    const server = await guardedServer()
    const { adapter, deps } = bench.open([server], { credentials })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    server.grpc.onRequest = ({ type }) =>
      type === clientRequests.subscribeService
        ? {
            kind: 'answer',
            type: 'ErrorResponse',
            body: { resultCode: 500, errorCode: 403, message: 'authorization failed!' },
          }
        : undefined
    adapter.subscribe({ ...orders, name: 'secret' }, recordingListener())
    await eventually(
      () => deps.lines.some((line) => line.includes('authorization failed!; check user and permissions')),
      'the reason',
    )
    expect(listener.ids).to.deep.equal(['10.0.0.1:80'])
    expect(adapter.status().connected).to.equal(true)
  })

  it('signs with an access key: services over gRPC and HTTP, documents', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server], { credentials: { kind: 'access-key', accessKey: 'AK', secretKey: 'SK' } })
    const sign = (text: string): string => createHmac('sha1', 'SK').update(text).digest('base64')
    adapter.subscribe(orders, recordingListener())
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the registration')
    await adapter.config.read('rules', 'mesh', AbortSignal.timeout(5000))
    const subscribe = server.grpcSeen.find(({ type }) => type === clientRequests.subscribeService)!.headers
    expect(subscribe).to.include({ ak: 'AK', signature: sign(subscribe['data']!) })
    expect(subscribe['data']).to.match(/^\d{13}@@DEFAULT_GROUP@@orders$/)
    const query = server.grpcSeen.find(({ type }) => type === clientRequests.configQuery)!.headers
    expect(query).to.include({ 'Spas-AccessKey': 'AK', 'Spas-Signature': sign(`rules+${query['Timestamp']}`) })
    const register = server.httpSeen.find(({ parameters }) => parameters['ak'] !== undefined)!.parameters
    expect(register['signature']).to.equal(sign(register['data']!))
    expect(JSON.stringify(server.httpSeen)).to.not.include('"SK"')
  })
})
