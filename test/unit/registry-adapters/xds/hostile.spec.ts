/** Control planes that break down, contradict themselves, or mean harm. */
import { expect } from 'chai'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import { systemClock, type Clock } from '../../../../contracts/clock.ts'
import type { AdapterDeps, RegistryAdapter, RuleCollection } from '../../../../contracts/registry-adapter.ts'
import { message } from '../../../../contracts/envoy-api/protobuf.ts'
import { createXdsAdapter } from '../../../../registry-adapters/xds/index.ts'
import { eventually, recordedDeps, recordingListener } from '../../../support/registry-listener.ts'
import { holds } from '../../../support/worker/eventually.ts'
import {
  StubPlane,
  assignmentBytes,
  clusterBytes,
  type Say,
  type StubRequest,
} from '../../../support/xds/stub-plane.ts'

const service = (name: string): ServiceName => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })

/** Ten times as fast. */
const hastened: Clock = {
  ...systemClock,
  monotonic: () => systemClock.monotonic() * 10,
  after: (ms, call) => systemClock.after(ms / 10, call),
}

describe('a control plane that is no good one', function () {
  this.timeout(60_000)
  let plane: StubPlane
  const adapters: RegistryAdapter[] = []
  afterEach(async () => {
    await Promise.all(adapters.splice(0).map((one) => one.close()))
    plane.close()
  })

  function adapterOf(...ports: readonly number[]): RegistryAdapter {
    return adapterBy(recordedDeps(), ports)
  }

  function adapterBy(deps: AdapterDeps, ports: readonly number[]): RegistryAdapter {
    const adapter = createXdsAdapter(
      {
        name: 'envoys',
        servers: ports.map((port) => ({ host: '127.0.0.1', port })),
        namespace: 'public',
        group: 'DEFAULT_GROUP',
        node: 'host-1',
        cluster: 'hostmesh',
        tls: () => undefined,
        token: () => undefined,
        maxEndpoints: 100,
      },
      deps,
    )
    adapters.push(adapter)
    adapter.start()
    return adapter
  }

  /** Answers each first request of a type with these, and nothing else. */
  async function saying(first: Readonly<Record<string, readonly Buffer[]>>): Promise<void> {
    plane = await StubPlane.start((request, say) => {
      const resources = first[request.type]
      if (resources !== undefined && request.nonce === '') say(request.type, resources)
    })
  }
  const refusals = (type: string): StubRequest[] =>
    plane.requests.filter((one) => one.type === type && one.error !== undefined)
  const good = {
    Cluster: [clusterBytes('orders')],
    ClusterLoadAssignment: [assignmentBytes('orders', ['10.0.0.1'])],
    Listener: [],
  }

  it('that is good is acknowledged, and asked for what clusters name', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    const asked = (): StubRequest[] => plane.requests.filter((one) => one.type === 'ClusterLoadAssignment')
    await eventually(() => asked().length === 2, 'the acknowledgement')
    expect(asked().map(({ names, version, nonce }) => [names, version, nonce === ''])).to.deep.equal([
      [['orders'], '', true],
      [['orders'], '1', false],
    ])
    expect(plane.requests.map(({ node }) => node).filter((node) => node !== '')).to.deep.equal(['host-1'])
    expect(await adapter.listServices(10, AbortSignal.timeout(1000))).to.deep.equal(['public/DEFAULT_GROUP@@orders'])
  })

  it('changes endpoints without a rule being made anew, or anything asked for', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    let rules = 0
    adapter.rules!.watch(() => rules++)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    await eventually(() => rules > 0, 'the first rules')
    const asked = (type: string): number => plane.requests.filter((one) => one.type === type).length
    await eventually(() => asked('ClusterLoadAssignment') === 2, 'the acknowledgement')
    const before = { rules, clusters: asked('Cluster'), listeners: asked('Listener') }
    for (const last of [2, 3, 4]) {
      plane.say('ClusterLoadAssignment', [assignmentBytes('orders', [`10.0.0.${last}`])], String(last))
      await heard.untilIds([`10.0.0.${last}:8080`])
      await eventually(() => asked('ClusterLoadAssignment') === last + 1, 'the acknowledgement')
    }
    // the turn in which rules would be told
    await new Promise((resolve) => setImmediate(resolve))
    expect({ rules, clusters: asked('Cluster'), listeners: asked('Listener') }).to.deep.equal(before)
  })

  it('may say all endpoints again for each change: only of the one that is news a list is made', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `s${index}`)
    const all = (first: string): Buffer[] =>
      names.map((name, index) => assignmentBytes(name, [index === 0 ? first : '10.0.0.1']))
    await saying({
      Cluster: names.map((name) => clusterBytes(name)),
      ClusterLoadAssignment: all('10.0.0.1'),
      Listener: [],
    })
    let lists = 0
    const clock: Clock = {
      ...systemClock,
      // each list is dated
      wall: () => {
        lists++
        return systemClock.wall()
      },
    }
    const adapter = adapterBy({ ...recordedDeps(), clock }, [plane.port])
    const heard = names.map((name) => {
      const listener = recordingListener()
      adapter.subscribe(service(name), listener)
      return listener
    })
    for (const listener of heard) await listener.untilIds(['10.0.0.1:8080'])
    const before = lists
    plane.say('ClusterLoadAssignment', all('10.0.0.2'), '2')
    await heard[0]!.untilIds(['10.0.0.2:8080'])
    expect(lists - before).to.be.lessThan(5)
    expect(heard.slice(1).every(({ sets }) => sets.length === 1)).to.equal(true)
  })

  it('hears the name of the field that cannot be taken, and the rest of its answer is in force', async () => {
    await saying({
      ...good,
      // transport_socket, and a field that no Envoy knows
      Cluster: [clusterBytes('secret', [24, message([1, 'tls'])], [999, 1]), clusterBytes('orders')],
    })
    const adapter = adapterOf(plane.port)
    const [heard, refused] = [recordingListener(), recordingListener()]
    adapter.subscribe(service('orders'), heard)
    adapter.subscribe(service('secret'), refused)
    await heard.untilIds(['10.0.0.1:8080'])
    await eventually(() => refusals('Cluster').length > 0, 'a refusal')
    const [refusal] = refusals('Cluster')
    expect(refusal?.error).to.equal('cluster secret: transport_socket: not supported; field 999: not supported')
    expect(refusal?.version, 'what was taken last').to.equal('')
    expect(adapter.status()).to.include({ connected: true })
    expect(adapter.status().problem?.message).to.contain('transport_socket')
    await eventually(() => refused.problems.length === 1, 'word of it for its own service')
    expect(refused.sets).to.deep.equal([])
  })

  it('may send the same bad answer after each refusal, and is refused ever more slowly', async () => {
    const bad = [clusterBytes('orders', [24, message([1, 'tls'])])]
    plane = await StubPlane.start((request, say) => {
      if (request.type === 'Cluster') say('Cluster', bad)
    })
    adapterOf(plane.port)
    await eventually(() => refusals('Cluster').length >= 4, 'four refusals')
    const at = refusals('Cluster').map((one) => one.at)
    expect(at[3]! - at[2]!).to.be.above(at[1]! - at[0]!)
    expect(at[3]! - at[0]!, '250, 500 and 1000 ms, each a quarter less or more').to.be.above(1200)
  })

  it('may be cut off in the middle of a message, and is left for another one', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    plane.raw(Buffer.from([0x0a, 0x7f, 0x31]))
    await eventually(() => heard.problems.length === 1, 'word that it is away')
    expect(heard.problems[0]?.code).to.equal('E_REGISTRY_PROTOCOL')
    await eventually(() => plane.streams === 2 && adapter.status().connected, 'another stream')
    expect(heard.ids).to.deep.equal(['10.0.0.1:8080'])
  })

  it('may send resources that are cut off, twice there, without a name, or of another type', async () => {
    await saying({ ...good, Cluster: [clusterBytes('orders')] })
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    const cutOff = Buffer.concat([message([1, 'orders']), Buffer.from([0x12, 0x7f, 0x01])])
    const twice = assignmentBytes('other', ['10.0.0.9'])
    plane.say('ClusterLoadAssignment', [cutOff, twice, twice, Buffer.alloc(0)])
    await eventually(() => refusals('ClusterLoadAssignment').length === 1, 'a refusal')
    expect(refusals('ClusterLoadAssignment')[0]?.error)
      .to.contain('endpoints orders: the message: the message is cut off')
      .and.contain('endpoints other: it is there twice')
      .and.contain('name: found nothing')
    // the bytes of another message under this type
    plane.say('ClusterLoadAssignment', [clusterBytes('orders')])
    await eventually(() => refusals('ClusterLoadAssignment').length === 2, 'a second refusal')
    plane.say('ClusterLoadAssignment', [assignmentBytes('orders', ['10.0.0.2'])])
    await heard.untilIds(['10.0.0.2:8080'])
    expect(heard.sets.map(({ endpoints }) => endpoints.length)).to.deep.equal([1, 1])
  })

  it('may send an answer of 100 MiB: it is not kept, the reason is said, and what was good stays', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    plane.raw(Buffer.alloc(100 * 1024 * 1024))
    await eventually(() => heard.problems.length === 1, 'word that it is away')
    expect(heard.problems[0]?.message).to.contain('message larger than max (104857600 vs 33554432)')
    await eventually(() => plane.streams === 2 && adapter.status().connected, 'another stream')
    expect(heard.ids).to.deep.equal(['10.0.0.1:8080'])
  })

  it('may refuse the token: that is said by its name, what is known stays, and it heals by itself', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    plane.refuse({ code: 16, details: 'the token is too old' })
    await eventually(
      () => adapter.status().problem?.code === 'E_REGISTRY_DENIED' && !adapter.status().connected,
      () => `a refusal; it is ${JSON.stringify(adapter.status())}`,
    )
    expect(adapter.status().problem?.message).to.contain('the token is too old')
    expect(heard.ids).to.deep.equal(['10.0.0.1:8080'])
    plane.refuse(undefined)
    await eventually(() => adapter.status().connected && adapter.status().problem === undefined, 'a good status')
  })

  it('may send what nobody asked for: the stream ends', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    await eventually(() => adapter.status().connected, 'a connection')
    plane.say('envoy.extensions.transport_sockets.tls.v3.Secret', [message([1, 'key'])])
    await eventually(() => adapter.status().problem?.message.includes('nobody asked for') === true, 'the reason')
  })

  it('may send more resources than are taken: none of them is, and what was good stays', async () => {
    await saying(good)
    const adapter = adapterOf(plane.port)
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    plane.say(
      'Cluster',
      Array.from({ length: 20_001 }, (_, at) => clusterBytes(`c${at}`)),
    )
    await eventually(() => refusals('Cluster').length === 1, 'a refusal')
    expect(refusals('Cluster')[0]?.error).to.contain('20001 resources, allowed 20000')
    expect(await adapter.listServices(10, AbortSignal.timeout(1000))).to.have.length(1)
  })

  it('may lose every cluster and listener at once: that is believed when a new stream says so, too', async () => {
    let isEmpty = false
    const redirect = message([1, message([1, '/'])], [3, message([2, '/there'])])
    const config = message([1, 'r'], [2, message([1, 'all'], [2, 'orders'], [3, redirect])])
    const manager = message([4, config])
    const filter = message(
      [1, 'http'],
      [
        4,
        message(
          [1, 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'],
          [2, manager],
        ),
      ],
    )
    const full = { ...good, Listener: [message([1, 'orders'], [3, message([3, filter])])] } as Record<string, Buffer[]>
    plane = await StubPlane.start((request, say: Say) => {
      if (request.nonce === '') say(request.type, isEmpty ? [] : (full[request.type] ?? []))
    })
    const adapter = adapterBy({ ...recordedDeps(), clock: hastened }, [plane.port])
    const rules: (readonly RuleCollection[])[] = []
    adapter.rules!.watch((collections) => rules.push(collections))
    adapter.rules!.want!([service('orders')])
    const heard = recordingListener()
    adapter.subscribe(service('orders'), heard)
    await heard.untilIds(['10.0.0.1:8080'])
    const kinds = (): string[] => (rules.at(-1) ?? []).map(({ name }) => name.split(' ')[0]!)
    await eventually(() => kinds().join() === 'VirtualService,DestinationRule', 'the rules')
    isEmpty = true
    plane.say('Cluster', [])
    plane.say('Listener', [])
    await eventually(() => plane.requests.filter(({ nonce }) => nonce !== '').length >= 5, 'both are acknowledged')
    await holds(() => heard.ids.join() === '10.0.0.1:8080' && kinds().length === 2, 50)
    await heard.untilIds([], 30_000)
    expect(plane.streams).to.equal(2)
    await eventually(() => kinds().length === 0, 'no rules')
  })

  it('may die: the next one is asked', async () => {
    await saying(good)
    const dead = await StubPlane.start(() => undefined)
    dead.close()
    const adapter = adapterOf(dead.port, plane.port)
    await eventually(
      () => adapter.status().server === `127.0.0.1:${plane.port}` && adapter.status().connected,
      'the other',
    )
  })
})
