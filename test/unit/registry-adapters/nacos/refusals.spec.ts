import { expect } from 'chai'
import type { Registration } from '../../../../contracts/registry-adapter.ts'
import type { NacosCredentials } from '../../../../registry-adapters/nacos/index.ts'
import { adapterBench } from '../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer } from '../../../support/nacos/fault-server.ts'
import { eventually, recordingListener } from '../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const billing = { ...orders, name: 'billing' }
const registration: Registration = {
  service: billing,
  address: '10.2.0.1',
  port: 1,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: {},
}
const good = { kind: 'password', username: 'mesh', password: 'right' } as const

/** A server that knows one user, with a switch: `open` lets everybody do everything. */
function guard(server: FaultServer): { close(): void; open(): void } {
  const isGood = (token: string | undefined): boolean => token === 'the-token'
  server.http.login = { username: 'mesh', password: 'right', ttlSeconds: 18_000, token: () => 'the-token' }
  const set = (check: typeof isGood | undefined): void => {
    server.grpc.isTokenGood = check
    server.http.isTokenGood = check
  }
  return { close: () => set(isGood), open: () => set(undefined) }
}

describe('a Nacos that refuses what it is asked', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  const guarded = async (): Promise<FaultServer> => {
    const server = await bench.server()
    guard(server).close()
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    return server
  }

  for (const [what, credentials, who] of [
    ['no credentials', { kind: 'none' }, 'without credentials'],
    ['a wrong password', { ...good, password: 'wrong' }, 'as user "mesh"'],
  ] as [string, NacosCredentials, string][])
    it(`is not connected, however alive the connection is (${what})`, async () => {
      const server = await guarded()
      const startedAt = Date.now()
      const { adapter, deps } = bench.open([server], { credentials, times: { healthCheckMs: 50 } })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      const handle = adapter.register(registration)
      adapter.config.watch('rules', 'mesh', () => undefined)
      await eventually(() => adapter.status().refused?.length === 3, 'all three kinds to be refused')
      const checks = (): number => server.grpcSeen.filter(({ type }) => type === 'HealthCheckRequest').length
      await eventually(() => checks() > 2, 'answered health checks')
      const status = adapter.status()
      expect(status).to.include({ connected: false, lastHeardAt: 0 })
      expect(status.problem?.code).to.equal('E_REGISTRY_DENIED')
      expect(status.problem?.message).to.include(
        `1 of 1 subscriptions, 1 of 1 registrations, 1 of 1 documents, asked ${who}, since 2`,
      )
      expect(status.problem?.at).to.be.within(startedAt, Date.now())
      expect(handle.state).to.equal('failing')
      expect(listener.story).to.deep.equal(['stale E_REGISTRY_DENIED'])
      const said = deps.lines.filter((line) => line.startsWith('error main: it refuses'))
      expect(said, deps.lines.join('\n')).to.have.length(1)
      expect(said[0]).to.include(who).and.to.include('since 2')
      expect(deps.lines.join('\n')).to.not.include('wrong"')
      expect(deps.gauged('registry_refused', { call: 'subscribe' })).to.equal(1)
    })

  it('is connected again as soon as it answers, and what else it had refused is asked for at once', async () => {
    const server = await guarded()
    const { adapter, deps } = bench.open([server])
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const handle = adapter.register(registration)
    await eventually(() => adapter.status().refused?.length === 2, 'the refusals')
    guard(server).open()
    await listener.untilIds(['10.0.0.1:80'])
    // by itself a refused registration waits for half a minute
    await eventually(() => handle.state === 'registered', 'the registration', 5000)
    expect(adapter.status()).to.include({ connected: true, problem: undefined })
    expect(adapter.status().refused).to.equal(undefined)
    expect(adapter.status().lastHeardAt).to.be.closeTo(Date.now(), 30_000)
    expect(deps.lines.join('\n')).to.include('does not refuse everything any more')
    expect(deps.gauged('registry_refused', { call: 'register' })).to.equal(0)
  })

  it('keeps the last good list when it begins to refuse, and its data are old from then on', async () => {
    const server = await bench.server()
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const { adapter } = bench.open([server], { times: { safetyPollMs: 100, healthCheckMs: 50 } })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    guard(server).close()
    await eventually(() => !adapter.status().connected, 'the refusal to show')
    const heardAt = adapter.status().lastHeardAt
    const checks = server.grpcSeen.length
    await eventually(() => server.grpcSeen.length > checks + 5, 'more refusals and health checks')
    expect(adapter.status().lastHeardAt).to.equal(heardAt)
    expect(listener.story).to.deep.equal(['set 10.0.0.1:80', 'stale E_REGISTRY_DENIED'])
  })

  it('is connected while it answers something, and says what it refuses', async () => {
    const server = await bench.server()
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    server.grpc.onRequest = ({ body }) =>
      body['serviceName'] === 'billing'
        ? { kind: 'answer', body: { resultCode: 500, errorCode: 403, message: 'authorization failed!' } }
        : undefined
    const { adapter } = bench.open([server])
    const [one, two] = [recordingListener(), recordingListener()]
    adapter.subscribe(orders, one)
    const subscription = adapter.subscribe(billing, two)
    await one.untilIds(['10.0.0.1:80'])
    await eventually(() => two.problems.length === 1, 'the refusal')
    expect(adapter.status().connected).to.equal(true)
    expect(adapter.status().problem?.message).to.include('1 of 2 subscriptions')
    subscription.unsubscribe()
    expect(adapter.status().problem, 'not wanted any more').to.equal(undefined)
  })

  it('is asked with the new credentials as soon as they are there, and no word of the old refusal stands in the way', async () => {
    const server = await guarded()
    let present: NacosCredentials = { ...good, password: 'wrong' }
    const { adapter } = bench.open([server], { credentials: present, renewedCredentials: () => present })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await eventually(() => adapter.status().refused !== undefined, 'the refusal')
    present = good
    // a refused login alone would wait for 15 s
    await listener.untilIds(['10.0.0.1:80'], 12_000)
    expect(adapter.status().connected).to.equal(true)
  })

  it('says over HTTP as well that it refuses, not that nobody answers', async () => {
    const server = await bench.server({ dialect: '1.x' })
    guard(server).close()
    const { adapter } = bench.open([server], { transport: 'http' })
    adapter.subscribe(orders, recordingListener())
    await eventually(() => adapter.status().problem?.code === 'E_REGISTRY_DENIED', 'the refusal')
    expect(adapter.status().connected).to.equal(false)
  })
})
