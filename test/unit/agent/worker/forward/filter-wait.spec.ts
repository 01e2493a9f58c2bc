import { expect } from 'chai'

import { refusal } from '../../../../../agent/worker/filters/answer.ts'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { Wait, Waiter } from '../../../../../agent/worker/filters/filter.ts'
import type { FilterKind } from '../../../../../agent/worker/filters/kind.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import type { FilterSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const denied = refusal(403, 'E_FAULT_INJECTED', 'UAEX', 'denied')
const late = refusal(504, 'E_FAULT_INJECTED', 'UAEX', 'nobody answered')

/** A filter that asks somebody: what it waits for is at hand. */
class Asking {
  readonly waiting: Waiter[] = []
  readonly cancelled: Waiter[] = []
  readonly kind: FilterKind

  constructor(ms: number, atTheEnd: Answer | null) {
    const wait: Wait = {
      kind: 'wait',
      ms,
      flag: '-',
      call: {
        begin: (waiter) => this.waiting.push(waiter),
        cancel: (waiter) => this.cancelled.push(waiter),
        late: atTheEnd,
      },
    }
    const filter = { kind: 'asking', onRequest: () => wait, explain: () => 'asks' }
    this.kind = { kind: 'asking', make: () => filter }
  }
}

describe('a request that waits for somebody', () => {
  const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
  let backend: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller

  async function start(asking: Asking, timeoutMs = 0): Promise<void> {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const services = [
      { name: 'orders', endpoints, route: { timeoutMs, filters: [{ kind: 'asking' } as unknown as FilterSpec] } },
    ]
    started = await startWorker({ services }, { filterKinds: [asking.kind, ...allFilterKinds()] })
    caller = await RawCaller.open(started.port('orders'))
    caller.send(get)
  }

  beforeEach(async () => {
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    caller.close()
    started.stop()
    await backend.close()
  })

  it('goes on when it is told to, and nothing was sent before', async () => {
    const asking = new Asking(60_000, late)
    await start(asking)
    await eventually(() => asking.waiting.length === 1)
    expect(backend.requests).to.have.length(0)
    asking.waiting[0]!.resume(null)
    await caller.expect(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nok$/)
    asking.waiting[0]!.resume(denied)
    caller.send(get)
    await eventually(() => asking.waiting.length === 2)
    asking.waiting[1]!.resume(null)
    await caller.expect(/ok[^]*HTTP\/1\.1 200 OK[^]*ok$/)
    expect(backend.requests, 'the second answer to the first question changed nothing').to.have.length(2)
    expect(asking.cancelled).to.deep.equal([])
    expect(started.metric('hostmesh_filter_total', 'asking', 'wait')).to.equal(2)
    expect(started.metric('hostmesh_filter_total', 'asking', 'answer')).to.equal(0)
  })

  it('is answered with what it is told', async () => {
    const asking = new Asking(60_000, late)
    await start(asking)
    await eventually(() => asking.waiting.length === 1)
    asking.waiting[0]!.resume(denied)
    await caller.expect(/^HTTP\/1\.1 403 [^]*denied\n$/)
    expect(backend.requests).to.have.length(0)
    expect(started.metric('hostmesh_filter_total', 'asking', 'answer')).to.equal(1)
  })

  it('is answered when nobody says anything in time, and nobody may say anything afterwards', async () => {
    const asking = new Asking(20, late)
    await start(asking)
    await caller.expect(/^HTTP\/1\.1 504 [^]*nobody answered\n$/)
    expect(asking.cancelled).to.deep.equal(asking.waiting)
  })

  it('has a time of its own for what it waits for next', async () => {
    const asking = new Asking(60_000, late)
    await start(asking)
    await eventually(() => asking.waiting.length === 1)
    asking.waiting[0]!.waitOn(20)
    await caller.expect(/^HTTP\/1\.1 504 [^]*nobody answered\n$/)
    expect(asking.cancelled).to.deep.equal(asking.waiting)
    asking.waiting[0]!.waitOn(20)
  })

  it('goes on without an answer where the filter lets it, and its own time begins behind the wait', async () => {
    await start(new Asking(150, null), 100)
    await caller.expect(/^HTTP\/1\.1 200 OK\r\n/)
  })

  it('waits no longer when its caller goes away', async () => {
    const asking = new Asking(60_000, late)
    await start(asking)
    await eventually(() => asking.waiting.length === 1)
    caller.close()
    await eventually(() => asking.cancelled.length === 1)
    expect(asking.cancelled).to.deep.equal(asking.waiting)
    expect(backend.requests).to.have.length(0)
  })
})
