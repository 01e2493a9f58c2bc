import { expect } from 'chai'
import type { ServiceName } from '../../../../../contracts/endpoint.ts'
import type { Registration } from '../../../../../contracts/registry-adapter.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer, HttpReply } from '../../../../support/nacos/fault-server.ts'
import { StandInStore } from '../../../../support/nacos/stand-in/store.ts'
import { eventually } from '../../../../support/registry-listener.ts'

const orders: ServiceName = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const registration: Registration = {
  service: orders,
  address: '10.2.0.1',
  port: 21_001,
  weight: 2,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: { version: 'v1' },
}

function calls(server: FaultServer, method: string, path: string): number {
  return server.httpSeen.filter((seen) => seen.method === method && seen.path === path).length
}

describe('registration at Nacos', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  const paths = {
    '1.x': { api: 'v1', instance: '/v1/ns/instance', beat: ['PUT', '/v1/ns/instance/beat'] },
    '2.x': { api: 'v1', instance: '/v1/ns/instance', beat: ['PUT', '/v1/ns/instance/beat'] },
    '3.x': { api: 'v3', instance: '/v3/client/ns/instance', beat: ['POST', '/v3/client/ns/instance'] },
  } as const

  for (const dialect of ['1.x', '2.x', '3.x'] as const) {
    it(`finds out by asking what a ${dialect} server offers, and keeps to it`, async () => {
      const server = await bench.server({ dialect })
      const handle = bench.open([server]).adapter.register(registration)
      await eventually(() => handle.state === 'registered', 'the registration')
      const [method, path] = paths[dialect].beat
      const isBeat = (seen: FaultServer['httpSeen'][number]): boolean =>
        seen.method === method && seen.path === path && (dialect !== '3.x' || seen.parameters['heartBeat'] === 'true')
      await eventually(() => server.httpSeen.filter(isBeat).length >= 3, 'three heartbeats')
      const first = server.httpSeen.findIndex(isBeat)
      expect(server.httpSeen.slice(first).every((seen) => seen.path.startsWith(`/${paths[dialect].api}/`))).to.equal(
        true,
      )
      const [instance] = server.store.instances(orders)
      expect(instance).to.deep.include({
        ip: '10.2.0.1',
        port: 21_001,
        weight: 2,
        ephemeral: true,
        enabled: true,
        metadata: { version: 'v1' },
      })
    })

    it(`registers again when a ${dialect} server does not know the instance any more`, async () => {
      const server = await bench.server({ dialect })
      const { adapter, deps } = bench.open([server])
      const handle = adapter.register(registration)
      await eventually(() => handle.state === 'registered', 'the registration')
      handle.update({ weight: 7, healthy: false })
      await eventually(() => server.store.instances(orders)[0]?.weight === 7, 'the update')
      server.store.forgetInstances()
      await eventually(() => server.store.instances(orders).length === 1, 'the instance to be back')
      expect(server.store.instances(orders)[0]).to.deep.include({
        weight: 7,
        enabled: false,
        metadata: { version: 'v1' },
      })
      expect(deps.counted('registry_heartbeats', { operation: 'beat', result: 'unknown' })).to.equal(1)
      expect(deps.lines.filter((line) => line.includes('registering it again'))).to.have.length(1)
    })
  }

  it('asks again when old paths go away while it runs (410, 404), as in an upgrade', async () => {
    const server = await bench.server({ dialect: '2.x' })
    const handle = bench.open([server]).adapter.register(registration)
    await eventually(() => calls(server, 'PUT', '/v1/ns/instance/beat') > 0, 'a heartbeat')
    for (const status of [410, 404, 501]) {
      const before = calls(server, 'PUT', '/v2/ns/instance/beat')
      server.http.onRequest = (seen): HttpReply | undefined =>
        seen.path.startsWith('/v1/') ? { kind: 'answer', status, body: 'gone' } : undefined
      await eventually(() => calls(server, 'PUT', '/v2/ns/instance/beat') > before, `heartbeats in v2 after ${status}`)
      expect(handle.state).to.equal('registered')
      const back = calls(server, 'PUT', '/v1/ns/instance/beat')
      server.http.onRequest = (seen) =>
        seen.path.startsWith('/v2/') ? { kind: 'answer', status, body: 'gone' } : undefined
      await eventually(() => calls(server, 'PUT', '/v1/ns/instance/beat') > back, 'heartbeats in v1 again')
    }
    expect(handle.state).to.equal('registered')
  })

  it('serves a cluster in the middle of an upgrade, each server in its own form', async () => {
    const store = new StandInStore()
    const [old, next] = [await bench.server({ store, dialect: '2.x' }), await bench.server({ store, dialect: '3.x' })]
    const { adapter } = bench.open([old, next])
    const handles = Array.from({ length: 12 }, (_, index) =>
      adapter.register({ ...registration, port: 21_001 + index }),
    )
    await eventually(() => handles.every(({ state }) => state === 'registered'), 'all of them')
    expect(store.instances(orders)).to.have.length(12)
    await old.stop()
    const before = calls(next, 'POST', '/v3/client/ns/instance')
    await eventually(
      () => calls(next, 'POST', '/v3/client/ns/instance') > before + 24,
      'heartbeats of all at the new one',
    )
    await eventually(() => handles.every(({ state }) => state === 'registered'), 'all of them')
  })

  it('goes to the next server at once when one hangs, resets, tears or fails, long before the instance expires', async () => {
    const store = new StandInStore()
    const [bad, good] = [await bench.server({ store }), await bench.server({ store })]
    const faults: HttpReply[] = [
      { kind: 'hang' },
      { kind: 'reset' },
      { kind: 'truncated', body: 'ok' },
      { kind: 'answer', status: 503, body: 'busy' },
      { kind: 'answer', status: 200, body: '{"code":10' },
    ]
    let at = 0
    bad.http.onRequest = () => faults[at++ % faults.length]
    const { adapter } = bench.open([bad, good], { times: { requestTimeoutMs: 200 } })
    for (let index = 0; index < faults.length; index++) {
      const handle = adapter.register({ ...registration, port: 21_001 + index })
      await eventually(
        () => handle.state === 'registered' && store.hasInstance(orders, '10.2.0.1', 21_001 + index),
        'a registration',
        3000,
      )
    }
  })

  it('says once that it fails, tries on, and says that it is registered again', async () => {
    const server = await bench.server()
    const { adapter, deps } = bench.open([server], { times: { heartbeatMs: 50, requestTimeoutMs: 30_000 } })
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the registration')
    await server.stop()
    await eventually(() => handle.state === 'failing', 'a failure')
    await eventually(() => deps.counted('registry_heartbeats', { result: 'failed' }) >= 5, 'five tries')
    await server.start()
    await eventually(() => handle.state === 'registered', 'the registration')
    expect(deps.lines.filter((line) => line.startsWith('warn') && line.includes('trying on'))).to.have.length(1)
    expect(deps.lines.filter((line) => line.includes('the application is registered'))).to.have.length(2)
  })

  it('leaves a service alone that somebody registered as persistent', async () => {
    const server = await bench.server()
    server.http.onRequest = ({ method }) =>
      method === 'POST'
        ? {
            kind: 'answer',
            status: 500,
            body: "caused: errCode: 400, errMsg: Current service DEFAULT_GROUP@@orders is persistent service, can't register ephemeral instance. ;",
          }
        : undefined
    const { adapter, deps } = bench.open([server])
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'failing', 'the refusal')
    expect(deps.lines.join('\n')).to.include('E_REGISTRY_DENIED').and.include('it is left alone')
    expect(server.httpSeen.every(({ method }) => method !== 'DELETE')).to.equal(true)
    expect(server.httpSeen.every(({ parameters }) => parameters['ephemeral'] !== 'false')).to.equal(true)
  })

  it('never lets a registration that is under way come after the removal', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    for (let round = 0; round < 20; round++) {
      const handle = adapter.register({ ...registration, port: 21_001 + round })
      for (let turn = 0; turn < (round % 2) * round; turn++) await new Promise((resolve) => setImmediate(resolve))
      await handle.deregister(20_000)
    }
    expect(server.store.instances(orders)).to.deep.equal([])
    expect(adapter.status().registrations).to.equal(0)
  })

  it('gives up a removal that nobody confirms after the deadline, and sends no heartbeats any more', async () => {
    const server = await bench.server()
    const { adapter, deps } = bench.open([server], { times: { requestTimeoutMs: 100 } })
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the registration')
    await server.stop()
    const startedAt = performance.now()
    await handle.deregister(300)
    expect(performance.now() - startedAt).to.be.within(250, 10_000)
    expect(deps.lines.join('\n')).to.include('did not confirm the removal in time')
    await server.start()
    const before = server.httpSeen.length
    const other = adapter.register({ ...registration, port: 9 })
    await eventually(() => other.state === 'registered', 'another registration')
    // discovery may be asking over HTTP, too; that is about no instance
    const about = server.httpSeen.slice(before).flatMap(({ parameters }) => parameters['port'] ?? [])
    expect(new Set(about)).to.deep.equal(new Set(['9']))
  })

  it('gives up a heartbeat that hangs, and removes the instance all the same', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server], { times: { requestTimeoutMs: 60_000, heartbeatMs: 20 } })
    const handle = adapter.register(registration)
    await eventually(() => handle.state === 'registered', 'the registration')
    server.http.onRequest = ({ path }) => (path.endsWith('/beat') ? { kind: 'hang' } : undefined)
    const before = calls(server, 'PUT', '/v1/ns/instance/beat')
    await eventually(() => calls(server, 'PUT', '/v1/ns/instance/beat') > before, 'a heartbeat that hangs')
    await handle.deregister(30_000)
    expect(server.store.instances(orders)).to.deep.equal([])
  })

  it('removes again what a registration brings back that was given up and arrives after the removal', async () => {
    const server = await bench.server()
    const { adapter, deps } = bench.open([server], { times: { requestTimeoutMs: 60_000 } })
    server.http.onRequest = ({ method }) => (method === 'POST' ? { kind: 'hang' } : undefined)
    const handle = adapter.register(registration)
    await eventually(() => server.httpSeen.some(({ method }) => method === 'POST'), 'a registration that hangs')
    let isLate = true
    server.http.onRequest = ({ method, path }) => {
      if (method === 'GET' && path.endsWith('/instance/list') && isLate) {
        isLate = false
        setImmediate(() =>
          server.setHosts(orders, [{ ip: '10.2.0.1', port: 21_001, weight: 2, metadata: { version: 'v1' } }]),
        )
      }
      return undefined
    }
    await handle.deregister(30_000)
    expect(isLate).to.equal(false)
    expect(server.store.instances(orders)).to.deep.equal([])
    expect(deps.lines.join('\n')).to.include('although its removal was taken; removing it again')
    expect(deps.counted('registry_removals', { result: 'repeated' })).to.equal(1)
  })

  it('keeps an application that is announced again while its removal is under way', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    const old = adapter.register(registration)
    await eventually(() => old.state === 'registered', 'the registration')
    for (let round = 0; round < 10; round++) {
      const handle = adapter.register({ ...registration, port: 22_000 + round })
      await eventually(() => handle.state === 'registered', 'the registration')
      const removal = handle.deregister(5000)
      const again = adapter.register({ ...registration, port: 22_000 + round })
      await Promise.all([removal, eventually(() => again.state === 'registered', 'it to be back')])
      expect(server.store.hasInstance(orders, '10.2.0.1', 22_000 + round)).to.equal(true)
    }
    const deletions = server.httpSeen.filter(({ method }) => method === 'DELETE').length
    expect(deletions).to.be.at.most(10)
    expect(server.store.instances(orders)).to.have.length(11)
  })

  it('sends what changed while a registration was under way', async () => {
    const server = await bench.server()
    const handle = bench.open([server], { times: { heartbeatMs: 60_000 } }).adapter.register(registration)
    handle.update({ weight: 3 })
    handle.update({ metadata: { version: 'v2' } })
    handle.update({ metadata: { version: 'v2' } })
    await eventually(() => server.store.instances(orders)[0]?.metadata['version'] === 'v2', 'version v2')
    expect(server.store.instances(orders)[0]?.weight).to.equal(3)
    const before = server.httpSeen.length
    handle.update({ weight: 3 })
    handle.update({ weight: 4 })
    await eventually(() => server.store.instances(orders)[0]?.weight === 4, 'weight 4')
    expect(server.httpSeen.length - before).to.equal(1)
  })

  it('sends heartbeats with the instance in them to servers that know no others', async () => {
    const server = await bench.server({ dialect: '1.x' })
    server.http.onRequest = ({ path, parameters }) =>
      path.endsWith('/beat') && parameters['beat'] === undefined
        ? { kind: 'answer', status: 400, body: "Param 'beat' is required." }
        : undefined
    const handle = bench.open([server]).adapter.register(registration)
    await eventually(
      () => server.httpSeen.filter(({ parameters }) => parameters['beat'] !== undefined).length >= 2,
      'such heartbeats',
    )
    expect(handle.state).to.equal('registered')
    const heavy = server.httpSeen.find(({ parameters }) => parameters['beat'] !== undefined)
    expect(JSON.parse(heavy!.parameters['beat']!)).to.include({
      serviceName: 'DEFAULT_GROUP@@orders',
      ip: '10.2.0.1',
      port: 21_001,
    })
  })
})
