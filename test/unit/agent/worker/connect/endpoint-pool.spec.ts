import { expect } from 'chai'

import { createCluster } from '../../../../../agent/worker/balance/cluster.ts'
import type { EndpointState } from '../../../../../agent/worker/balance/types.ts'
import { ClusterPools } from '../../../../../agent/worker/connect/cluster-pools.ts'
import { Dialer } from '../../../../../agent/worker/connect/dialer.ts'
import { overflow, waiting } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { ConnectionWaiter, EndpointPool } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { PooledConnection } from '../../../../../agent/worker/connect/pooled-connection.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import type { Spares } from '../../../../../agent/worker/transport/spares.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import type {
  DialCallback,
  Transport,
  TransportOwner,
  Transports,
} from '../../../../../agent/worker/transport/transport.ts'
import type { ConnectionPoolSpec } from '../../../../../contracts/policy-spec.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import type {
  LinkHome,
  UpstreamCodec,
  UpstreamLink,
  UpstreamOwner,
  UpstreamStream,
} from '../../../../../agent/worker/forward/streams.ts'
import { Http1Link } from '../../../../../agent/worker/protocols/http1/upstream-link.ts'
import type { Http1UpstreamStream } from '../../../../../agent/worker/protocols/http1/upstream-stream.ts'
import { endpointOf, keyOf } from '../../../../support/worker/snapshots.ts'

const http1: UpstreamCodec = {
  streamsPerLink: 1,
  openLink: (transport, home) => new Http1Link({} as Spares<Http1UpstreamStream>, transport, home),
  understands: (from): from is null => from === null,
}

class FakeTransport {
  owner: TransportOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }
  descriptor = 7
  isClosed = false
  pendingBytes = 0
  readonly identity = { kind: 'none' }
  resumeReading(): void {}
  pauseReading(): void {}
  close(): void {
    this.isClosed = true
  }
  release(): void {
    this.isClosed = true
  }
}

/** A pool whose dials end when the test says so, on a clock that the test moves. */
function poolOf(pool: Partial<ConnectionPoolSpec> = {}, addresses: readonly string[] = ['10.0.0.1'], codec = http1) {
  let now = 1000
  const dials: { address: string; callback: DialCallback; isCancelled: boolean }[] = []
  const clock = new Clock(() => now)
  let wake: (() => void) | undefined
  const wheel = new TimerWheel(
    () => now,
    (callback) => (wake = callback),
  )
  const transports = {
    dial(address: string, _port: number, callback: DialCallback) {
      const dial = { address, callback, isCancelled: false }
      dials.push(dial)
      return { cancel: () => (dial.isCancelled = true) }
    },
  } as unknown as Transports
  const dialer = new Dialer({
    transports,
    wheel,
    clock,
    socketOptions: { apply() {}, watchClosely() {} },
    handshakes: { call: () => ({ cancel() {} }) },
    identities: { find: () => undefined },
    onRefused() {},
    refusal: () => null,
  })
  const service = keyOf('orders')
  const set = (list: readonly string[]) => ({
    service,
    version: 1,
    protectThreshold: 0,
    registry: 'main',
    confirmedAt: 0,
    endpoints: list.map((address) => endpointOf(address, 80)),
  })
  const policy = { ...defaultTrafficPolicy, pool: { ...defaultTrafficPolicy.pool, ...pool } }
  const cluster = createCluster({
    service,
    own: { region: '', zone: '' },
    endpoints: set(addresses),
    policy,
    random: Math.random,
    now,
  })
  const pools = new ClusterPools(
    'orders||',
    cluster,
    { dialer, wheel, clock, codecs: { of: (protocol) => (protocol === 'http1' ? http1 : codec) } },
    codec === http1 ? 'http1' : 'http2',
  )
  return {
    cluster,
    pools,
    dials,
    of: (index = 0): EndpointPool => pools.of(cluster.states[index] as EndpointState, undefined),
    connect(index = 0): FakeTransport {
      const transport = new FakeTransport()
      dials[index]!.callback(transport as unknown as Transport, '')
      return transport
    },
    advance(ms: number) {
      now += ms
      clock.refresh()
      wake?.()
    },
    shrinkTo: (list: readonly string[]) => cluster.update(set(list), policy, now),
  }
}

function waiter(callerKey = 'a', onLeft?: (it: ConnectionWaiter) => void) {
  const got: (PooledConnection | string)[] = []
  const it: ConnectionWaiter & { got: (PooledConnection | string)[]; first: PooledConnection } = {
    callerKey,
    got,
    get first() {
      return got[0] as PooledConnection
    },
    onConnection: (connection) => void got.push(connection),
    onConnectFailed: (_outcome, reason) => void got.push(reason),
    onEndpointLeft: () => onLeft?.(it),
  }
  return it
}

describe('the pool of an endpoint', () => {
  it('dials for a request, and gives the connection to the next one when it comes back whole', () => {
    const { connect, of, dials } = poolOf()
    const first = waiter()
    expect(of().acquire(first, false)).to.equal(waiting)
    connect()
    of().release(first.first, true)
    expect(of().acquire(waiter(), false)).to.equal(first.first)
    expect(dials).to.have.length(1)
  })

  it('gives out the connection used last', () => {
    const { connect, of } = poolOf()
    const one = waiter()
    const two = waiter()
    of().acquire(one, false)
    of().acquire(two, false)
    connect(0)
    connect(1)
    of().release(one.first, true)
    of().release(two.first, true)
    expect(of().acquire(waiter(), false)).to.equal(two.first)
  })

  it('closes a connection that is not fit for reuse (R38)', () => {
    const { cluster, connect, of } = poolOf()
    const first = waiter()
    of().acquire(first, false)
    const transport = connect()
    of().release(first.first, false)
    expect(transport.isClosed).to.equal(true)
    expect(cluster.numbers.connections).to.equal(0)
  })

  it('closes a connection after its number of requests, and after its age', () => {
    const { connect, of, advance } = poolOf({ maxRequestsPerConnection: 2, maxConnectionAgeMs: 500 })
    const first = waiter()
    of().acquire(first, false)
    const worn = connect(0)
    first.first.requests = 2
    of().release(first.first, true)
    expect(worn.isClosed).to.equal(true)
    const second = waiter()
    of().acquire(second, false)
    const aged = connect(1)
    of().release(second.first, true)
    advance(500)
    expect(of().acquire(waiter(), false)).to.equal(waiting)
    expect(aged.isClosed).to.equal(true)
  })

  it('closes a connection that was idle too long', () => {
    const { connect, of, advance } = poolOf({ idleTimeoutMs: 100 })
    const first = waiter()
    of().acquire(first, false)
    const transport = connect()
    of().release(first.first, true)
    advance(90)
    expect(transport.isClosed).to.equal(false)
    advance(30)
    expect(transport.isClosed).to.equal(true)
  })

  it('notices that an idle connection was closed, or says something unasked', () => {
    for (const event of ['onEnd', 'onBytes', 'onClosed'] as const) {
      const { cluster, connect, of } = poolOf()
      const first = waiter()
      of().acquire(first, false)
      const transport = connect()
      of().release(first.first, true)
      if (event === 'onBytes') transport.owner.onBytes(Buffer.from('x'), 1)
      else if (event === 'onEnd') transport.owner.onEnd()
      else transport.owner.onClosed('ECONNRESET')
      expect(of().acquire(waiter(), false), event).to.equal(waiting)
      expect(cluster.numbers.connections).to.equal(1)
    }
  })

  it('gives a returned connection to a waiting request before its own dial ends', () => {
    const { connect, of } = poolOf()
    const first = waiter()
    const second = waiter()
    of().acquire(first, false)
    connect(0)
    of().acquire(second, false)
    of().release(first.first, true)
    expect(second.first).to.equal(first.first)
  })

  it('lets callers take turns', () => {
    const { connect, of } = poolOf({ maxConnections: 1 })
    const busy = waiter('busy')
    of().acquire(busy, false)
    connect(0)
    const many = Array.from({ length: 3 }, () => waiter('busy'))
    for (const one of many) of().acquire(one, false)
    const other = waiter('other')
    of().acquire(other, false)
    const order: string[] = []
    let connection = busy.first
    for (let i = 0; i < 4; i++) {
      of().release(connection, true)
      const served = [...many, other].find(
        (one) => one.got.length > 0 && !order.includes(String([...many, other].indexOf(one))),
      )!
      order.push(String([...many, other].indexOf(served)))
      connection = served.first
    }
    expect(order.indexOf('3'), 'the other caller is not last').to.be.below(2)
  })

  it('refuses beyond the bound on waiting requests, and counts', () => {
    const { cluster, of } = poolOf({ maxConnections: 1, maxPending: 1 })
    of().acquire(waiter(), false)
    expect(of().acquire(waiter(), false)).to.equal(overflow)
    expect(cluster.numbers.pendingOverflows).to.equal(1)
  })

  it('takes the room of an idle connection of another endpoint at the bound', () => {
    const { connect, dials, of } = poolOf({ maxConnections: 1 }, ['10.0.0.1', '10.0.0.2'])
    const first = waiter()
    of(0).acquire(first, false)
    const transport = connect(0)
    of(0).release(first.first, true)
    of(1).acquire(waiter(), false)
    expect(transport.isClosed).to.equal(true)
    expect(dials).to.have.length(2)
  })

  it('tells a waiting request that its dial failed, and one at a time', () => {
    const { cluster, dials, of } = poolOf()
    const one = waiter()
    const two = waiter()
    of().acquire(one, false)
    of().acquire(two, false)
    dials[0]!.callback(null, 'ECONNREFUSED')
    expect(one.got).to.deep.equal(['ECONNREFUSED'])
    expect(two.got).to.deep.equal([])
    expect(cluster.numbers.pendingRequests).to.equal(1)
  })

  it('gives up a dial after its time', () => {
    const { advance, dials, of } = poolOf({ connectTimeoutMs: 50 })
    const one = waiter()
    of().acquire(one, false)
    advance(60)
    expect(one.got).to.deep.equal(['ETIMEDOUT'])
    expect(dials[0]!.isCancelled).to.equal(true)
  })

  it('closes idle connections at once when the endpoint leaves, and busy ones when they come back', () => {
    const { cluster, connect, of, shrinkTo } = poolOf({}, ['10.0.0.1', '10.0.0.2'])
    const idle = waiter()
    const busy = waiter()
    const pool = of(0)
    pool.acquire(idle, false)
    pool.acquire(busy, false)
    const idleTransport = connect(0)
    const busyTransport = connect(1)
    pool.release(idle.first, true)
    shrinkTo(['10.0.0.2'])
    expect(idleTransport.isClosed).to.equal(true)
    expect(busyTransport.isClosed).to.equal(false)
    pool.release(busy.first, true)
    expect(busyTransport.isClosed).to.equal(true)
    expect(cluster.numbers.connections).to.equal(0)
  })

  it('ends the dials to an endpoint that left when those who waited went elsewhere', () => {
    const { cluster, dials, of, pools, shrinkTo } = poolOf({}, ['10.0.0.1', '10.0.0.2'])
    const pool = of(0)
    const elsewhere: ConnectionWaiter[] = []
    for (const key of ['a', 'b']) {
      const one = waiter(key, (it) => {
        expect(
          cluster.states.map(({ address }) => address),
          'known by now',
        ).to.deep.equal(['10.0.0.2'])
        expect(pool.forget(it)).to.equal(true)
        elsewhere.push(it)
      })
      pool.acquire(one, key === 'b')
    }
    shrinkTo(['10.0.0.2'])
    expect(elsewhere).to.have.length(2)
    expect(dials.map(({ isCancelled }) => isCancelled)).to.deep.equal([true, true])
    expect(cluster.numbers).to.include({ connections: 0, pendingRequests: 0 })
    expect(pools.pools.has(pool)).to.equal(false)
  })

  it('gives one connection each to those who stay when the endpoint leaves, and closes it afterwards', () => {
    const { cluster, connect, dials, of, shrinkTo } = poolOf()
    const pool = of()
    const first = waiter()
    const second = waiter()
    pool.acquire(first, false)
    pool.acquire(second, true)
    shrinkTo([])
    const transports = [connect(0), connect(1)]
    for (const one of [first, second]) {
      one.first.requests++
      pool.release(one.first, true)
    }
    expect(transports.map(({ isClosed }) => isClosed)).to.deep.equal([true, true])
    expect(dials).to.have.length(2)
    expect(cluster.numbers.connections).to.equal(0)
  })

  it('gives its connection to a request that waits while the whole destination leaves', () => {
    const { cluster, connect, dials, of, pools } = poolOf()
    const one = waiter()
    of().acquire(one, false)
    pools.close()
    const transport = connect()
    expect(dials).to.have.length(1)
    of().release(one.first, true)
    expect(transport.isClosed).to.equal(true)
    expect(cluster.numbers.connections).to.equal(0)
  })
})

describe('a pool of connections that carry several requests at once', () => {
  /** A link of a protocol with two streams; the test ends them. */
  class TwoStreams implements UpstreamLink {
    readonly transport: Transport
    readonly isMovable = false
    freeStreams = 2
    readonly home: LinkHome

    constructor(transport: Transport, home: LinkHome) {
      this.transport = transport
      this.home = home
    }

    open(): UpstreamStream {
      this.freeStreams--
      return {} as UpstreamStream
    }

    rest(): void {}
    leaving(): null {
      return null
    }
    left(): void {}

    close(): void {
      this.transport.close()
    }

    endOne(): void {
      this.freeStreams++
      this.home.linkFreed()
    }
  }

  const codec: UpstreamCodec = {
    streamsPerLink: 2,
    openLink: (transport, home) => new TwoStreams(transport, home),
    understands: (from): from is null => from === null,
  }

  function start(pool: Partial<ConnectionPoolSpec> = {}, addresses = ['10.0.0.1']) {
    const it = poolOf(pool, addresses, codec)
    const opened: PooledConnection[] = []
    const use = (connection: PooledConnection): void => {
      connection.open({} as UpstreamOwner)
      opened.push(connection)
    }
    const ask = (): void => {
      const got = it
        .of()
        .acquire({ callerKey: 'a', onConnection: use, onConnectFailed() {}, onEndpointLeft() {} }, false)
      if (typeof got !== 'number') use(got)
    }
    return { ...it, opened, ask, link: (index: number) => opened[index]!.link as TwoStreams }
  }

  it('dials for as many as one will carry, and gives them all to it', () => {
    const { ask, connect, dials, opened } = start()
    for (let i = 0; i < 3; i++) ask()
    expect(dials).to.have.length(2)
    connect(0)
    expect(opened).to.have.length(2)
    expect(opened[0]).to.equal(opened[1])
    connect(1)
    expect(opened[2]).to.not.equal(opened[0])
  })

  it('tells all whom a dial would have carried that it failed, and leaves the others to theirs', () => {
    const { cluster, dials, of } = poolOf({}, ['10.0.0.1'], codec)
    const some = ['a', 'a', 'b', 'c'].map((key) => waiter(key))
    for (const one of some) of().acquire(one, false)
    expect(dials).to.have.length(2)
    dials[0]!.callback(null, 'ETIMEDOUT')
    const told = (): number => some.filter(({ got }) => got.length > 0).length
    expect([told(), cluster.numbers.pendingRequests, dials.length]).to.deep.equal([2, 2, 2])
    dials[1]!.callback(null, 'ETIMEDOUT')
    expect([told(), cluster.numbers.pendingRequests, cluster.numbers.connections]).to.deep.equal([4, 0, 0])
    expect(some.flatMap(({ got }) => got)).to.deep.equal(Array(4).fill('ETIMEDOUT'))
  })

  it('lets whoever tries again at once, or goes with another that failed, be', () => {
    const { cluster, dials, of } = poolOf({}, ['10.0.0.1'], codec)
    const second = waiter('b')
    const again = waiter('a')
    const first = waiter('a')
    first.onConnectFailed = (_outcome, reason) => {
      first.got.push(reason)
      of().acquire(again, false)
      expect(of().forget(second), 'they belong together').to.equal(true)
    }
    of().acquire(first, false)
    of().acquire(second, false)
    dials[0]!.callback(null, 'ECONNREFUSED')
    expect([first.got, second.got, again.got]).to.deep.equal([['ECONNREFUSED'], [], []])
    expect([dials.length, cluster.numbers.pendingRequests]).to.deep.equal([2, 1])
  })

  it('takes one with room before an idle one, and none that is full', () => {
    const { ask, connect, cluster, dials, link, of, opened } = start()
    for (let i = 0; i < 3; i++) ask()
    connect(0)
    connect(1)
    link(2).endOne()
    expect(of().idle).to.have.length(1)
    link(0).endOne()
    ask()
    expect(opened[3], 'beside the other').to.equal(opened[0])
    ask()
    expect(opened[4], 'the first is full').to.equal(opened[2])
    expect([dials.length, cluster.numbers.connections]).to.deep.equal([2, 2])
  })

  it('gives the room that an ended request leaves to whoever waits', () => {
    const { ask, connect, cluster, link, opened } = start({ maxConnections: 1 })
    ask()
    ask()
    connect(0)
    ask()
    expect(opened).to.have.length(2)
    expect(cluster.numbers.pendingRequests).to.equal(1)
    link(0).endOne()
    expect(opened).to.have.length(3)
    expect(cluster.numbers.pendingRequests).to.equal(0)
  })

  it('gives the room that an endpoint grants later to whoever waits', () => {
    const { ask, connect, cluster, link, opened } = start({ maxConnections: 1 })
    for (let i = 0; i < 4; i++) ask()
    connect(0)
    expect([opened.length, cluster.numbers.pendingRequests]).to.deep.equal([2, 2])
    link(0).freeStreams = 1
    link(0).home.linkWidened()
    expect([opened.length, cluster.numbers.pendingRequests]).to.deep.equal([3, 1])
  })

  it('dials again for whoever waits where one carries fewer than its dial was for', () => {
    const { ask, connect, dials, opened } = start({ maxRequestsPerConnection: 1 })
    for (let i = 0; i < 4; i++) ask()
    expect(dials).to.have.length(2)
    for (let nth = 0; nth < 4; nth++) connect(nth)
    expect(opened).to.have.length(4)
  })

  it('puts no other request on one that has carried as many as the policy wants, and closes it after the last', () => {
    const { ask, connect, dials, link, opened } = start({ maxRequestsPerConnection: 2 })
    ask()
    const transport = connect(0)
    ask()
    expect(opened[1]).to.equal(opened[0])
    link(0).endOne()
    ask()
    expect(dials, 'for the third').to.have.length(2)
    expect(transport.isClosed).to.equal(false)
    link(0).endOne()
    expect(transport.isClosed).to.equal(true)
  })

  it('asks no more of a connection than the policy says, though its endpoint would take it', () => {
    const { ask, connect, dials, opened } = start({ maxConcurrentStreams: 1 })
    ask()
    ask()
    expect(dials).to.have.length(2)
    connect(0)
    connect(1)
    expect(opened[0]).to.not.equal(opened[1])
  })

  it('passes over a connection whose endpoint said meanwhile that it leaves', () => {
    const { ask, connect, dials, link } = start()
    ask()
    connect(0)
    link(0).freeStreams = 0
    ask()
    expect(dials).to.have.length(2)
  })

  it('speaks another protocol from the next connection on, and ends the former ones with their requests', () => {
    const { ask, connect, dials, link, opened, pools } = start()
    ask()
    const former = connect(0)
    pools.speak('http1')
    expect(former.isClosed).to.equal(false)
    ask()
    expect(dials, 'nobody new comes to it').to.have.length(2)
    link(0).endOne()
    expect(former.isClosed).to.equal(true)
    pools.speak('http2')
    connect(1)
    expect(opened[1]!.link).to.be.instanceOf(TwoStreams)
  })

  it('keeps a connection of an endpoint that left until its last request is over, and gives it nobody new', () => {
    const { ask, cluster, connect, dials, link, of, opened, shrinkTo } = start({}, ['10.0.0.1', '10.0.0.2'])
    const pool = of(0)
    ask()
    const transport = connect(0)
    shrinkTo(['10.0.0.2'])
    expect(transport.isClosed).to.equal(false)
    const late = waiter()
    expect(pool.acquire(late, false)).to.equal(waiting)
    expect(opened).to.have.length(1)
    pool.forget(late)
    dials[1]!.callback(null, 'ECONNREFUSED')
    link(0).endOne()
    expect(transport.isClosed).to.equal(true)
    expect(cluster.numbers.connections).to.equal(0)
  })
})
