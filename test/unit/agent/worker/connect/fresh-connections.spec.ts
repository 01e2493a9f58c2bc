import { expect } from 'chai'

import { ClusterPools } from '../../../../../agent/worker/connect/cluster-pools.ts'
import type { PoolDeps } from '../../../../../agent/worker/connect/pool-deps.ts'
import type { DialUser } from '../../../../../agent/worker/connect/dialer.ts'
import { waiting } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { ConnectionWaiter, EndpointPool } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { PooledConnection } from '../../../../../agent/worker/connect/pooled-connection.ts'
import type { UpstreamCodec, UpstreamLink } from '../../../../../agent/worker/forward/streams.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { cluster } from '../../../../support/balance.ts'

class Waiter implements ConnectionWaiter {
  readonly callerKey: string
  got: PooledConnection | null = null
  failure = ''

  constructor(callerKey: string) {
    this.callerKey = callerKey
  }

  onConnection(connection: PooledConnection): void {
    this.got = connection
    connection.requests++
  }

  onConnectFailed(_outcome: number, reason: string): void {
    this.failure = reason
  }

  onEndpointLeft(): void {}
}

describe('waiting for a fresh connection', () => {
  let dials: DialUser[]
  let pool: EndpointPool

  function open(maxConnections: number): void {
    dials = []
    const dialer = {
      dial: (_state: unknown, _cluster: unknown, _as: unknown, user: DialUser) => {
        dials.push(user)
        return { cancel() {} }
      },
    }
    const wheel = { arm() {}, disarm() {}, drop() {} }
    const openLink = (dialled: Transport) =>
      ({ transport: dialled, rest() {}, close: () => dialled.close() }) as unknown as UpstreamLink
    const codec: UpstreamCodec = { streamsPerLink: 1, openLink, understands: (from): from is null => from === null }
    const deps = {
      dialer,
      wheel,
      clock: new Clock(() => 0),
      codecs: { of: () => codec },
    } as unknown as PoolDeps
    const policy = { pool: { ...defaultTrafficPolicy.pool, maxConnections } }
    const pools = new ClusterPools('orders||', cluster({ policy }), deps, 'http1')
    pool = pools.of(pools.cluster.states[0] as (typeof pools.cluster.states)[number], undefined)
  }

  const transport = () => ({ close() {}, resumeReading() {}, identity: { kind: 'none' } }) as unknown as Transport

  /** A connection that has carried a request and is in somebody's hands. */
  function used(): PooledConnection {
    const first = new Waiter('first')
    expect(pool.acquire(first, false)).to.equal(waiting)
    dials.shift()?.onDialed(transport())
    return first.got as PooledConnection
  }

  it('passes over a returned one and takes the next dialled one', () => {
    open(10)
    const returned = used()
    const repeat = new Waiter('repeat')
    expect(pool.acquire(repeat, true)).to.equal(waiting)
    expect(dials.length).to.equal(1)
    pool.release(returned, true)
    expect(repeat.got).to.equal(null)
    expect(pool.idle).to.deep.equal([returned])
    dials.shift()?.onDialed(transport())
    expect(repeat.got).to.not.equal(null)
    expect(repeat.got).to.not.equal(returned)
  })

  it('leaves a returned one to others that wait', () => {
    open(10)
    const returned = used()
    const repeat = new Waiter('repeat')
    const other = new Waiter('other')
    pool.acquire(repeat, true)
    pool.acquire(other, false)
    pool.release(returned, true)
    expect([repeat.got, other.got]).to.deep.equal([null, returned])
  })

  it('makes a returned one give way when the bound on connections leaves no dial', () => {
    open(1)
    const returned = used()
    const repeat = new Waiter('repeat')
    pool.acquire(repeat, true)
    expect(dials.length).to.equal(0)
    pool.release(returned, true)
    expect(dials.length).to.equal(1)
    dials.shift()?.onDialed(transport())
    expect(repeat.got).to.not.equal(null)
    expect(pool.open).to.equal(1)
  })

  it('hears of a failed dial, and can stop waiting', () => {
    open(10)
    const repeat = new Waiter('repeat')
    pool.acquire(repeat, true)
    dials.shift()?.onDialFailed(2, 'ECONNREFUSED')
    expect(repeat.failure).to.equal('ECONNREFUSED')
    const impatient = new Waiter('impatient')
    pool.acquire(impatient, true)
    expect([pool.forget(impatient), pool.forget(impatient), pool.waitingCount]).to.deep.equal([true, false, 0])
  })
})
