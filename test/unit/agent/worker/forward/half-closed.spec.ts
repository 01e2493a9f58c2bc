import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually, holds } from '../../../../support/worker/eventually.ts'
import type { SnapshotPlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const abandoned = 'hostmesh_abandoned_requests_total'
const active = 'hostmesh_cluster_active_requests'
const pool = { ...defaultTrafficPolicy.pool, maxConnections: 4, maxPending: 4 }

describe('a caller that closes its side behind a whole request', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    backend.answer = () => undefined
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    await backend.close()
  })

  async function worker(plan: Partial<SnapshotPlan> = {}): Promise<void> {
    started = await startWorker({
      services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], policy: { pool } }],
      ...plan,
    })
  }

  async function call(
    text = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n',
    port = started.port('orders'),
  ): Promise<RawCaller> {
    const caller = await RawCaller.open(port)
    callers.push(caller)
    caller.send(text)
    return caller
  }

  /** Four that are sent, and four that wait. */
  async function fill(): Promise<RawCaller[]> {
    const all: RawCaller[] = []
    for (let count = 1; count <= 8; count++) {
      all.push(await call())
      await eventually(() => started.metric(active) === count)
    }
    return all
  }

  it('gave up: eight of them do not stand in the way of the ninth, and are counted and logged as gone', async () => {
    await worker()
    const all = await fill()
    const refused = await call()
    await refused.expect('x-mesh-error: E_BALANCE_OVERFLOW')
    for (const caller of all) caller.socket.end()
    await eventually(() => started.metric(active) === 0)
    expect(started.metric(abandoned)).to.equal(8)
    expect(started.metric('istio_requests_total', 'DC')).to.equal(8)
    expect(started.metric('istio_requests_total', '200')).to.equal(0)
    backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    const ninth = await call()
    await ninth.expect(/200 OK/)
  })

  it('is heard although its pipelined bytes are not read, and also in the middle of an upload that waits', async () => {
    await worker()
    const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
    const sent = await call(get.repeat(3))
    await eventually(() => started.metric(active) === 1)
    for (let count = 2; count <= 4; count++) await call()
    await eventually(() => started.metric(active) === 4)
    const upload = await call(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`)
    await eventually(() => started.metric(active) === 5)
    sent.socket.end()
    upload.socket.end()
    await eventually(() => started.metric(active) === 3)
    expect(started.metric(abandoned)).to.equal(2)
  })

  it('leaves at once where its request waits for a name', async () => {
    await worker()
    const caller = await call('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: unheard\r\n\r\n', started.port('shared'))
    await eventually(() => started.metric('hostmesh_parked_requests') === 1)
    caller.socket.end()
    await eventually(() => started.metric('hostmesh_parked_requests') === 0)
  })

  describe('on a listener that answers such callers', () => {
    it('gets its answer although its request still waits for a connection, within the limit', async () => {
      await worker({ halfClosed: 'answered' })
      const all = await fill()
      for (const caller of all) caller.socket.end()
      await eventually(() => backend.requests.length === 4)
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate'
      for (const { socket } of backend.connections) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
      for (const caller of all) await caller.expect(/200 OK[^]*late$/)
      expect(started.metric(abandoned)).to.equal(0)
    })

    it('makes room when the limit is over, where its request waits too', async () => {
      await worker({ halfClosed: 'answered', limits: { halfClosedTimeoutMs: 50 } })
      const all = await fill()
      for (const caller of all) caller.socket.end()
      await eventually(() => started.metric(active) === 0)
      expect(started.metric(abandoned)).to.equal(8)
    })

    it('waits for its answer no longer than the limit says', async () => {
      await worker({ halfClosed: 'answered', limits: { halfClosedTimeoutMs: 50 } })
      const caller = await call()
      await eventually(() => backend.requests.length === 1)
      caller.socket.end()
      await caller.closed()
      expect(started.metric('istio_requests_total', 'DC')).to.equal(1)
      await eventually(() => backend.connections[0]!.isEnded)
    })

    it('gets the whole of an answer that has begun, however long it takes', async () => {
      await worker({ halfClosed: 'answered', limits: { halfClosedTimeoutMs: 20 } })
      const caller = await call()
      await eventually(() => backend.requests.length === 1)
      const { socket } = backend.connections[0]!
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none')
      await caller.expect('one')
      caller.socket.end()
      await holds(() => started.metric(abandoned) === 0, 100)
      socket.write('two')
      await caller.expect(/onetwo$/)
      expect(started.metric(abandoned)).to.equal(0)
    })
  })
})
