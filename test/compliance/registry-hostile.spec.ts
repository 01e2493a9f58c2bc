/**
 * Registries that mean harm: whatever they answer, control lives on, within bounds, says what is wrong, keeps what was
 * good, and serves the other registries.
 */
import { expect } from 'chai'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { etcdAdapter } from '../support/etcd/adapter.ts'
import { createKubernetesAdapter } from '../../registry-adapters/kubernetes/index.ts'
import { watchTurns } from '../support/busiest-turn.ts'
import { consulAdapter } from '../support/consul/registry.ts'
import { answer, chunkedHead, drip, flood, startHostileServer } from '../support/hostile-server.ts'
import type { Behaviour, HostileServer } from '../support/hostile-server.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import type { RecordingListener } from '../support/registry-listener.ts'
import { holds } from '../support/worker/eventually.ts'

const orders: ServiceName = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
/** Most processor time that the loop may spend at a time on one answer. */
const maxBusyMs = 1000
const maxMoreMiB = 300

interface Kind {
  readonly create: (port: number) => RegistryAdapter
  /** Good answers, as long as somebody asks whether it lives. */
  readonly pulse: (line: string) => string | undefined
  /** A list of this one entry, over and over. */
  readonly listOf: (entry: string, count: number) => string
}

const list = (entry: string, count: number): string => `[${Array.from({ length: count }, () => entry).join()}]`

const kinds: Readonly<Record<string, Kind>> = {
  consul: {
    create: (port) => consulAdapter(port),
    pulse: (line) => (line.includes('/v1/status/leader') ? '"10.0.0.1:8300"' : undefined),
    listOf: list,
  },
  etcd: {
    create: (port) => etcdAdapter(port),
    pulse: () => undefined,
    listOf: (entry, count) => `{"header":{"revision":"7"},"kvs":${list(entry, count)}}`,
  },
  kubernetes: {
    create: (port) =>
      createKubernetesAdapter(
        {
          name: 'cluster',
          access: { server: { host: '127.0.0.1', port }, tls: () => undefined, token: () => undefined },
          namespace: 'public',
          namespaces: ['DEFAULT_GROUP'],
          write: 'off',
          hasRules: true,
          maxEndpoints: 10_000,
          watchMs: 8000,
          pulseMs: 500,
        },
        recordedDeps(),
      ),
    pulse: (line) => (line.includes('limit=1 ') ? '{"metadata":{"resourceVersion":"1"},"items":[]}' : undefined),
    listOf: (entry, count) => `{"metadata":{"resourceVersion":"7"},"items":${list(entry, count)}}`,
  },
}

describe('registries that mean harm', function () {
  this.timeout(240_000)
  const servers: HostileServer[] = []
  const adapters: RegistryAdapter[] = []
  afterEach(async () => {
    await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
    await Promise.all(servers.splice(0).map((server) => server.stop()))
  })

  /** An adapter at a server that behaves so; both end with the test. */
  const approach = async (
    kind: Kind,
    behaviour: Behaviour,
  ): Promise<{ adapter: RegistryAdapter; listener: RecordingListener }> => {
    const server = await startHostileServer(behaviour)
    servers.push(server)
    const adapter = kind.create(server.port)
    adapters.push(adapter)
    const listener = recordingListener()
    adapter.rules?.watch(() => undefined)
    adapter.start()
    adapter.subscribe(orders, listener)
    return { adapter, listener }
  }

  /**
   * An adapter of each kind at such a server; answers when each has said that something is wrong, and checks the
   * bounds.
   */
  const meet = async (behaviourOf: (kind: Kind) => Behaviour): Promise<RegistryAdapter[]> => {
    const turns = watchTurns()
    const before = process.memoryUsage().rss
    let peak = before
    const met = await Promise.all(
      Object.values(kinds).map(async (kind) => {
        const { adapter, listener } = await approach(kind, behaviourOf(kind))
        await eventually(
          () => {
            peak = Math.max(peak, process.memoryUsage().rss)
            return adapter.status().problem !== undefined
          },
          () => `a problem of ${adapter.name} that is named; heard ${listener.story.join()}`,
        )
        expect(listener.sets.every(({ endpoints }) => endpoints.length === 0)).to.equal(true)
        return adapter
      }),
    )
    expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
    expect((peak - before) / 1024 / 1024, 'MiB more').to.be.lessThan(maxMoreMiB)
    return met
  }
  /** Alive, and every list is answered so. */
  const behindPulse =
    (behaviour: Behaviour) =>
    (kind: Kind): Behaviour =>
    (socket, line) => {
      const good = kind.pulse(line)
      if (good === undefined) behaviour(socket, line)
      else answer(good)(socket, line)
    }

  it('garbage instead of HTTP', async () => {
    const met = await meet(() => (socket) => void socket.write(Buffer.alloc(4096, 0xfe)))
    for (const adapter of met) expect(adapter.status()).to.include({ connected: false })
  })

  it('headers without end, and a body without end in pieces of one byte', async () => {
    await meet(() => flood('HTTP/1.1 200 OK\r\n', Buffer.from('x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n')))
    const pieces = Buffer.from('1\r\n \r\n'.repeat(4096))
    await meet(() => flood(chunkedHead, pieces))
  })

  it('one byte now and then: no word is a word', async () => {
    await meet(() => drip(chunkedHead, 50))
  })

  it('a redirect to a metadata service is followed by nobody', async () => {
    const met = await meet(() => answer('', '302 Found', 'location: http://169.254.169.254/latest/meta-data/\r\n'))
    for (const adapter of met) expect(adapter.status().problem?.message).to.contain('302')
  })

  for (const body of [
    'null',
    '"text"',
    '[]',
    '{"a":1}',
    '[null,5,[]]',
    '{"kvs":5,"items":{},"metadata":7}',
    '{"__proto__":{"items":[1]}}',
    '['.repeat(100_000),
  ])
    it(`JSON of another shape: ${body.slice(0, 40)}`, async () => {
      for (const kind of Object.values(kinds)) {
        const { adapter, listener } = await approach(kind, behindPulse(answer(`${body}\n`))(kind))
        // an empty list is one that a registry may give; anything else is a problem that is named
        await eventually(
          () => adapter.status().problem !== undefined || listener.sets.length > 0,
          () => `a word of ${adapter.name}`,
        )
        expect(listener.sets.every(({ endpoints }) => endpoints.length === 0)).to.equal(true)
        expect(Object.hasOwn(Object.prototype, 'items')).to.equal(false)
      }
    })

  it('lists of a million entries that make no sense stop nobody', async () => {
    const turns = watchTurns()
    for (const entry of [
      '0',
      '{}',
      '{"key":"L3NlcnZpY2VzL29yZGVycy9h","value":"e30="}',
      '{"metadata":{"labels":{"kubernetes.io/service-name":"orders"}}}',
    ])
      for (const kind of Object.values(kinds)) {
        const count = Math.min(1_000_000, Math.floor((15 * 1024 * 1024) / (entry.length + 1)))
        const { adapter, listener } = await approach(kind, behindPulse(answer(kind.listOf(entry, count)))(kind))
        await holds(() => listener.sets.every(({ endpoints }) => endpoints.length === 0), 300)
        await adapter.close()
      }
    expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
  })

  it('a list whose pages never end is given up', async () => {
    const kind = kinds['kubernetes']!
    let pages = 0
    const page = '{"metadata":{"resourceVersion":"7","continue":"more"},"items":[]}'
    const server = await startHostileServer((socket, line) => {
      pages++
      const body = kind.pulse(line) ?? page
      answer(body)(socket, line)
    })
    servers.push(server)
    const adapter = kind.create(server.port)
    adapters.push(adapter)
    adapter.start()
    adapter.subscribe(orders, recordingListener())
    await eventually(() => adapter.status().problem?.message.includes('pages') === true, 'the end')
    expect(pages).to.be.greaterThan(1999)
  })

  it('addresses that no instance can have, and names of the language, pass as plain data to the checks behind', async () => {
    const kind = kinds['consul']!
    const entry = (address: string): string =>
      `{"Service":{"Address":"${address}","Port":80,"Meta":{"__proto__":"x","constructor":"y"},"Tags":["__proto__=z"]}}`
    const body = `[${['10.0.0.1', 'evil.example.com', "10.0.0.1'; drop", '0x7f.1', '169.254.169.254'].map(entry).join()}]`
    const server = await startHostileServer(behindPulse(answer(body, '200 OK', 'x-consul-index: 5\r\n'))(kind))
    servers.push(server)
    const adapter = kind.create(server.port)
    adapters.push(adapter)
    const listener = recordingListener()
    adapter.start()
    adapter.subscribe(orders, listener)
    // the metadata service is an address: control's own check refuses it, for every registry alike
    const { endpoints } = await listener.untilIds(['10.0.0.1:80', '169.254.169.254:80'])
    expect(Object.getPrototypeOf(endpoints[0]!.metadata)).to.equal(Object.prototype)
    expect(endpoints[0]!.metadata).to.deep.equal({ constructor: 'y' })
  })
})
