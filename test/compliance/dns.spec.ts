import { expect } from 'chai'
import { endpointId } from '../../contracts/endpoint.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createDnsAdapter } from '../../registry-adapters/dns/index.ts'
import type { DnsAdapterConfig } from '../../registry-adapters/dns/index.ts'
import { a, alias, srv, startNameServer } from '../support/dns/server.ts'
import type { NameServerDouble } from '../support/dns/server.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import type { RecordedDeps } from '../support/registry-listener.ts'
import { describeRegistryFaults } from './registry-faults.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import type { OutsideInstance } from './registry-adapter.ts'

const group = 'DEFAULT_GROUP'

function adapterAt(port: number, change: Partial<DnsAdapterConfig> = {}, deps = recordedDeps()): RegistryAdapter {
  return createDnsAdapter(
    {
      name: 'names',
      servers: [{ host: '127.0.0.1', port }],
      record: 'srv',
      query: '{service}.example.com',
      port: 0,
      only: [],
      namespace: 'public',
      group,
      minRefreshMs: 50,
      maxRefreshMs: 60_000,
      maxEndpoints: 10_000,
      pulseMs: 500,
      // long enough for a machine with ten other things to do: a question that is given up is a problem that is told
      timeoutMs: 1000,
      families: () => ['A', 'AAAA'],
      ...change,
    },
    deps,
  )
}

/** One target per instance, so that each has its port. */
function put(server: NameServerDouble, service: ServiceName, instances: readonly OutsideInstance[]): void {
  const name = `${service.name}.example.com`
  const hostOf = ({ address }: OutsideInstance): string => `host-${address.replaceAll('.', '-')}.example.com`
  for (const one of instances) server.set(hostOf(one), { records: [a(hostOf(one), one.address, 1)] })
  server.set(
    name,
    instances.length === 0
      ? { rcode: 'NXDOMAIN', denialSeconds: 1 }
      : { records: instances.map((one) => srv(name, hostOf(one), one.port, { weight: one.weight ?? 1, ttl: 0 })) },
  )
}

const abilities = {
  register: false,
  config: false,
  cutOff: true,
  spoil: true,
  isPlain: true,
  signsOfLife: true,
} as const

describeRegistryAdapter('DNS, stand-in', abilities, async () => {
  const server = await startNameServer()
  let isAway = false
  return {
    namespace: 'public',
    createAdapter: () => adapterAt(server.port),
    put: async (service, instances) => {
      server.spoil = undefined
      put(server, service, instances)
    },
    spoil: async (service) => {
      server.spoil = (answer, { questions }) =>
        questions![0]!.name.startsWith(service.name) ? [answer.subarray(0, answer.length - 3)] : [answer]
    },
    cutOff: async () => {
      isAway = true
      await server.stop()
    },
    comeBack: async () => {
      if (isAway) await server.listen()
      isAway = false
    },
    close: () => server.stop(),
  }
})

describeRegistryFaults('DNS, stand-in', { register: false, deny: true, huge: false }, async () => {
  const server = await startNameServer()
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () => adapterAt(server.port),
    put: async (service, instances) => put(server, service, instances),
    kill: () => server.stop(),
    restart: () => server.listen(),
    stall: () => void (server.isSilent = true),
    flow: () => void (server.isSilent = false),
    deny: async () => {
      server.spoil = (answer) => {
        // REFUSED, and nothing else
        const refusal = Buffer.from(answer)
        refusal.writeUInt16BE((refusal.readUInt16BE(2) & ~0xf) | 5, 2)
        return [refusal]
      }
    },
    allow: async () => {
      server.spoil = undefined
    },
    close: () => server.stop(),
  }
})

describe('DNS as a registry', function () {
  this.timeout(240_000)
  let server: NameServerDouble
  let adapter: RegistryAdapter | undefined
  let deps: RecordedDeps
  beforeEach(async () => {
    server = await startNameServer()
    deps = recordedDeps()
  })
  afterEach(async () => {
    await adapter?.close()
    await server.stop()
  })
  const orders: ServiceName = { namespace: 'public', group, name: 'orders' }
  const name = 'orders.example.com'
  const started = (change: Partial<DnsAdapterConfig> = {}): RegistryAdapter => {
    adapter = adapterAt(server.port, change, deps)
    adapter.start()
    return adapter
  }
  const hear = (service = orders, change: Partial<DnsAdapterConfig> = {}) => {
    const listener = recordingListener()
    started(change).subscribe(service, listener)
    return listener
  }

  it('SRV records say address, port, weight and order; the targets of later priorities are the last choice', async () => {
    server.set('one.example.com', { records: [a('one.example.com', '10.0.0.1'), a('one.example.com', '10.0.0.2')] })
    server.set('two.example.com', { records: [a('two.example.com', 'fd00::2')] })
    server.set(name, {
      records: [
        srv(name, 'one.example.com', 8080, { priority: 10, weight: 5 }),
        srv(name, 'two.example.com', 9090, { priority: 20, weight: 65_535 }),
      ],
    })
    const { endpoints } = await hear().untilIds(['10.0.0.1:8080', '10.0.0.2:8080', '[fd00::2]:9090'])
    expect(endpoints.map(({ healthy }) => healthy)).to.deep.equal([true, true, false])
    expect(endpoints[2]!.weight).to.equal(10_000)
    expect(endpoints[0]!.weight).to.be.closeTo(0.76, 0.01)
    expect(endpoints[0]!.metadata).to.include({ host: 'one.example.com', 'srv.priority': '10' })
  })

  it('addresses that come along with SRV records are used without a question, those of other targets are asked for', async () => {
    server.set(name, {
      records: [srv(name, 'a.example.com', 8001), srv(name, 'b.example.com', 8002), srv(name, 'c.example.com', 8003)],
      beside: [
        a('A.example.com', '10.0.0.1', 20),
        a('a.example.com', '10.0.0.2', 20),
        a('a.example.com', 'fd00::1', 20),
        a('b.example.com', '10.0.0.9', 20),
        a('elsewhere.example.com', '10.0.0.66', 20),
      ],
    })
    server.set('c.example.com', { records: [a('c.example.com', '10.0.0.3', 20)] })
    const listener = hear()
    await listener.untilIds(['10.0.0.1:8001', '10.0.0.2:8001', '[fd00::1]:8001', '10.0.0.9:8002', '10.0.0.3:8003'])
    const asked = server.questions.filter((one) => !one.endsWith('SOA'))
    expect(asked).to.have.members([`${name} SRV`, 'c.example.com A', 'c.example.com AAAA'])
  })

  it('targets and addresses that multiply to a million instances are not looked at as a whole', async () => {
    const targets = Array.from({ length: 500 }, (_, at) => srv(name, 'a.example.com', 8001 + at))
    const beside = Array.from({ length: 1200 }, (_, at) => a('a.example.com', `10.0.${at >> 8}.${at & 255}`, 20))
    server.set(name, { records: targets, beside })
    server.isTruncating = true
    const listener = hear(orders, { maxEndpoints: 1000 })
    await listener.until(({ endpoints }) => endpoints.length === 1000, 'as many as are allowed')
    expect(deps.counted('registry_endpoints_cut')).to.be.within(1, 2000)
  })

  it('addresses are instances at the one port, through aliases that the answer or the next one explains', async () => {
    server.set(name, { records: [alias(name, 'www.example.com')] })
    server.set('www.example.com', {
      records: [
        alias('www.example.com', 'web.example.com'),
        a('web.example.com', '10.0.0.7'),
        a('web.example.com', 'fd00::7'),
      ],
    })
    const listener = hear(orders, { record: 'address', port: 443 })
    await listener.untilIds(['10.0.0.7:443', '[fd00::7]:443'])
  })

  it('SRV records are found behind aliases of which each answer explains one', async () => {
    const names = [name, 'b.example.com', 'c.example.com', 'd.example.com']
    for (const [at, one] of names.slice(1).entries()) server.set(names[at]!, { records: [alias(names[at]!, one)] })
    server.set('d.example.com', { records: [srv('d.example.com', 'one.example.com', 8080)] })
    server.set('one.example.com', { records: [a('one.example.com', '10.0.0.1')] })
    const listener = hear()
    await listener.untilIds(['10.0.0.1:8080'])
    expect(listener.sets, 'no instance before').to.have.length(1)
  })

  it('a name is asked for again when its time is over, not before, and a change is known then', async () => {
    server.set(name, { records: [a(name, '10.0.0.1', 1)] })
    // before the first question: what comes between it and here only makes the time longer
    const asked = performance.now()
    const listener = hear(orders, { record: 'address', port: 80, families: () => ['A'] })
    await listener.untilIds(['10.0.0.1:80'])
    server.set(name, { records: [a(name, '10.0.0.2', 3600)] })
    await listener.untilIds(['10.0.0.2:80'])
    expect(performance.now() - asked).to.be.greaterThan(990)
    // the doubt about the one that is gone asks once more, then nobody asks for an hour
    await eventually(() => listener.confirmed.length === 1, 'the change to be confirmed')
    const { length } = server.questions.filter((one) => one.startsWith(name))
    expect(length).to.equal(3)
  })

  it('an answer too long for a datagram is taken by TCP', async () => {
    server.isTruncating = true
    const hosts = Array.from({ length: 200 }, (_, index) => `10.0.1.${index}`)
    server.set(name, { records: hosts.map((address) => a(name, address)) })
    await hear(orders, { record: 'address', port: 80 }).until(
      ({ endpoints }) => endpoints.length === 200,
      '200 of them',
    )
    expect(server.questions).to.include(`${name} A/tcp`)
  })

  it('a name that is gone is believed at the second look, one that cannot be said keeps its instances', async () => {
    server.set(name, { records: [a(name, '10.0.0.1', 0)] })
    const listener = hear(orders, { record: 'address', port: 80 })
    await listener.untilIds(['10.0.0.1:80'])
    server.set(name, { rcode: 'SERVFAIL' })
    await eventually(() => listener.problems.length === 1, 'word that it is old')
    expect(adapter!.status()).to.deep.include({ connected: false })
    expect(adapter!.status().problem?.message).to.contain('SERVFAIL')
    expect(listener.sets).to.have.length(1)
    server.set(name, { rcode: 'NXDOMAIN', denialSeconds: 0 })
    await listener.untilIds([])
    await eventually(() => listener.confirmed.some(({ endpoints }) => endpoints.length === 0), 'a confirmed loss')
    expect(adapter!.status()).to.deep.include({ connected: true, problem: undefined })
  })

  it('half an answer takes nothing away: the family that cannot be said keeps its last addresses', async () => {
    server.set(name, { records: [a(name, '10.0.0.1', 0), a(name, 'fd00::1', 0)] })
    const listener = hear(orders, { record: 'address', port: 80 })
    await listener.untilIds(['10.0.0.1:80', '[fd00::1]:80'])
    server.spoil = (answer, { questions }) => (questions![0]!.type === 'AAAA' ? [] : [answer])
    server.set(name, { records: [a(name, '10.0.0.2', 0)] })
    await listener.untilIds(['10.0.0.2:80', '[fd00::1]:80'])
    expect(listener.problems).to.deep.equal([])
  })

  it('answers that nobody asked for, or that make no sense, change nothing', async () => {
    server.set(name, { records: [a(name, '10.0.0.1', 0)] })
    const evil = (answer: Buffer): Buffer => {
      const other = Buffer.from(answer)
      other.writeUInt32BE(0x06060606, other.length - 4)
      return other
    }
    server.spoil = (answer) => {
      const [foreign, query, renamed] = [evil(answer), evil(answer), evil(answer)]
      foreign.writeUInt16BE(foreign.readUInt16BE(0) ^ 0x5555, 0)
      query.writeUInt16BE(0x0100, 2)
      // another name with the same length
      renamed[13] = renamed[13]! ^ 1
      return [foreign, query, renamed, Buffer.from('nonsense'), Buffer.alloc(0), answer]
    }
    const listener = hear(orders, { record: 'address', port: 80, families: () => ['A'] })
    await listener.untilIds(['10.0.0.1:80'])
    server.spoil = () => Array.from({ length: 100 }, () => Buffer.alloc(500, 0xc0))
    await eventually(() => listener.problems.length > 0, 'word that it is old')
    expect(listener.sets.every(({ endpoints }) => endpointId(endpoints[0]!) === '10.0.0.1:80')).to.equal(true)
  })

  it('the next name server is asked when one is silent', async () => {
    const dead = await startNameServer()
    dead.isSilent = true
    server.set(name, { records: [a(name, '10.0.0.1')] })
    const servers = [dead, server].map(({ port }) => ({ host: '127.0.0.1', port }))
    const listener = hear(orders, { record: 'address', port: 80, servers })
    await listener.untilIds(['10.0.0.1:80'])
    await eventually(() => adapter!.status().connected, 'a connection')
    expect(adapter!.status().server).to.equal(`127.0.0.1:${server.port}`)
    await dead.stop()
  })

  it('asks only for what it was told to, and for nothing that DNS cannot carry', async () => {
    const [other, odd] = [recordingListener(), recordingListener()]
    started({ query: '{service}', only: ['*.example.com', 'db'] })
    adapter!.subscribe({ ...orders, name: 'orders.example.org' }, other)
    adapter!.subscribe({ ...orders, name: `a..example.com` }, odd)
    await other.untilIds([])
    await odd.untilIds([])
    const inside = recordingListener()
    adapter!.subscribe({ ...orders, name: 'orders.example.com' }, inside)
    await inside.until(() => true, 'an answer')
    expect(server.questions.filter((one) => !one.startsWith('. '))).to.deep.equal(['orders.example.com SRV'])
  })

  it('services that nobody wants any more when their turn comes are not asked for', async () => {
    started({ pulseMs: 60_000 })
    await eventually(() => server.questions.length > 0, 'a sign of life')
    server.isSilent = true
    const named = Array.from({ length: 100 }, (_, at) => ({ ...orders, name: `s-${at}` }))
    const subscriptions = named.map((service) => adapter!.subscribe(service, recordingListener()))
    const asked = (): Set<string> => new Set(server.questions.filter((one) => one.endsWith(' SRV')))
    await eventually(() => asked().size > 0, 'the first questions')
    for (const one of subscriptions) one.unsubscribe()
    const wanted = recordingListener()
    adapter!.subscribe(orders, wanted)
    server.isSilent = false
    await wanted.untilIds([])
    expect(asked().size).to.be.at.most(33)
  })

  it('aliases in a circle, and targets without an address, end in no instance', async () => {
    server.set(name, { records: [alias(name, 'b.example.com')] })
    server.set('b.example.com', { records: [alias('b.example.com', name)] })
    await hear(orders, { record: 'address', port: 80, families: () => ['A'] }).untilIds([])
    expect(server.questions.length).to.be.lessThan(15)
  })

  it('refuses to announce anything, with the reason', () => {
    const registration = {
      service: orders,
      address: '10.0.0.1',
      port: 1,
      weight: 1,
      cluster: '',
      healthy: true,
      enabled: true,
      metadata: {},
    }
    expect(() => started().register(registration)).to.throw('nothing can be announced there')
  })
})
