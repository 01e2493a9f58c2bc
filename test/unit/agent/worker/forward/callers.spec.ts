import { expect } from 'chai'
import { busyAbove } from '../../../../../agent/worker/callers/fair-turns.ts'
import { shedding } from '../../../../../agent/worker/callers/load-shedder.ts'
import { refusalPace } from '../../../../../agent/worker/callers/slow-refusals.ts'
import type { TrafficPolicySpec } from '../../../../../contracts/policy-spec.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { callerAt, namedCallers } from '../../../../support/worker/named-callers.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const [batch, shop] = ['127.0.0.2', '127.0.0.3'] as const
const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
const answered = (text: string): number => text.split('HTTP/1.1 ').length - 1

describe('callers of one worker', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    await backend.close()
  })

  async function worker(
    policy: Partial<TrafficPolicySpec> = {},
    random?: () => number,
    plan: Partial<ServicePlan> = {},
  ): Promise<void> {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const services = [
      { name: 'orders', endpoints, policy, ...plan },
      { name: 'nobody', endpoints: [] },
    ]
    started = await startWorker({ services }, { transports: namedCallers, ...(random === undefined ? {} : { random }) })
  }

  async function from(address: string, service = 'orders'): Promise<RawCaller> {
    const caller = await RawCaller.open(started.port(service), '127.0.0.1', address)
    callers.push(caller)
    return caller
  }

  it('are refused ever more slowly when they do not stop, and nobody else is', async () => {
    await worker()
    const noisy = await Promise.all(Array.from({ length: 50 }, () => from(batch, 'nobody')))
    const begun = performance.now()
    let refused = 0
    for (const caller of noisy) {
      let had = 0
      caller.socket.on('data', () => {
        const now = answered(caller.text)
        refused += now - had
        had = now
        caller.send(get)
      })
      caller.send(get)
    }
    await eventually(() => refused >= refusalPace.burst + 500)
    const seconds = (performance.now() - begun) / 1000
    const [burst, rate] = [refusalPace.burst, refusalPace.perSecond]
    expect((refused - burst) / seconds, 'refusals a second behind the burst').to.be.below(rate * 1.3)
    expect(started.metric('hostmesh_caller_slowed_total', callerAt(batch))).to.be.above(0)
    const other = await from(shop, 'nobody')
    const asked = performance.now()
    other.send(get)
    await other.expect('E_BALANCE_NO_ENDPOINT')
    expect(started.metric('hostmesh_caller_slowed_total', callerAt(shop))).to.equal(0)
    expect(performance.now() - asked).to.be.below(500)
  })

  it('that leave while their refusal is held back leave nothing behind', async () => {
    await worker()
    const noisy = await Promise.all(Array.from({ length: 150 }, () => from(batch, 'nobody')))
    for (const caller of noisy) caller.send(get.repeat(16))
    await eventually(() => started.metric('hostmesh_caller_slowed_total', callerAt(batch)) > 100)
    for (const caller of noisy) caller.close()
    await eventually(() => started.metric('hostmesh_downstream_connections') === 0)
    expect(started.metric('hostmesh_requests_in_hand')).to.equal(0)
  })

  it('hear at once of a worker that leaves: a refusal that is held back would keep their connections', async () => {
    await worker()
    const noisy = await Promise.all(Array.from({ length: 150 }, () => from(batch, 'nobody')))
    await eventually(() => started.metric('hostmesh_downstream_connections') === noisy.length)
    for (const caller of noisy) caller.send(get.repeat(16))
    const slowed = (): number => started.metric('hostmesh_caller_slowed_total', callerAt(batch))
    await eventually(() => slowed() > 100)
    started.worker.stopAccepting()
    const before = slowed()
    await eventually(() => noisy.every(({ text }) => answered(text) === 16))
    expect(slowed()).to.equal(before)
  })

  it('have nothing begun any more by a request whose refusal is held back', async () => {
    const retry = { attempts: 1, perTryTimeoutMs: 0, on: ['5xx'], statuses: [], backoffMs: 1160 } as const
    await worker({}, () => 0.5, { route: { timeoutMs: 500, retry } })
    let asked = 0
    backend.answer = () => {
      asked++
      return 'HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n'
    }
    const noisy = await Promise.all(Array.from({ length: 150 }, () => from(batch, 'nobody')))
    for (const caller of noisy) caller.send(get.repeat(16))
    await eventually(() => started.metric('hostmesh_caller_slowed_total', callerAt(batch)) > 100)
    const caller = await from(batch)
    caller.send(get)
    // its time is over while it waits for its second try, which would begin before the caller is told
    await caller.expect(/^HTTP\/1\.1 504/)
    expect(asked).to.equal(1)
  })

  it('that are other agents hear at once what they can bring elsewhere', async () => {
    await worker()
    const { spec } = started.worker.listeners.get('service:nobody')!
    await started.change({ listeners: { [spec.name]: { ...spec, kind: 'inbound', app: 'nobody' } as ListenerSpec } })
    const agents = await Promise.all(Array.from({ length: 150 }, () => from(batch, 'nobody')))
    for (const agent of agents) agent.send(get.repeat(16))
    await eventually(() => agents.every(({ text }) => answered(text) === 16))
    expect(started.metric('hostmesh_caller_refusals_total')).to.equal(0)
  })

  it('share the requests of a service: one that holds all it can leaves room for another', async () => {
    const bound = 16
    await worker({ pool: { ...defaultTrafficPolicy.pool, maxRequests: bound } })
    backend.answer = () => undefined
    const first = await Promise.all(Array.from({ length: bound }, () => from(batch)))
    for (const caller of first) caller.send(get)
    await eventually(() => started.metric('hostmesh_cluster_active_requests') === bound)
    const other = await from(shop)
    other.send(get)
    await other.expect('E_BALANCE_OVERFLOW')
    for (const caller of first.slice(0, 2)) caller.close()
    await eventually(() => started.metric('hostmesh_cluster_active_requests') === bound - 2)
    const again = await from(batch)
    again.send(get)
    await again.expect('E_BALANCE_CALLER_SHARE')
    other.send(get)
    await eventually(() => started.metric('hostmesh_cluster_active_requests') === bound - 1)
    expect(started.metric('hostmesh_cluster_caller_overflows_total')).to.equal(1)
    for (const caller of callers) caller.close()
    await eventually(() => started.metric('hostmesh_cluster_active_requests') === 0)
  })

  it('have no more of a service than a policy allows them, given back with each reply', async () => {
    await worker({ callers: [{ caller: callerAt(batch), maxRequests: 1, weight: 1 }] })
    for (let nth = 0; nth < 3; nth++) {
      const caller = await from(batch)
      caller.send(get)
      await caller.expect('\r\n\r\nok')
    }
    backend.answer = () => undefined
    const first = await from(batch)
    first.send(get)
    await eventually(() => started.metric('hostmesh_cluster_active_requests') === 1)
    const second = await from(batch)
    second.send(get)
    await second.expect('E_BALANCE_CALLER_SHARE')
  })

  it('take turns in a busy worker: who asks little is begun before the rest of who asks much', async () => {
    await worker()
    const order: string[] = []
    backend.answer = (message) => {
      order.push(message.target)
      return undefined
    }
    const line = (path: string): string => get.replace('GET / ', `GET ${path} `)
    const many = await Promise.all(Array.from({ length: busyAbove + 200 }, () => from(batch)))
    const other = await from(shop)
    // In hand: enough that turns count, of both callers.
    for (const caller of many.slice(0, busyAbove)) caller.send(line('/first'))
    await eventually(() => order.length === busyAbove)
    other.send(line('/seen'))
    await eventually(() => order.length === busyAbove + 1)
    many[busyAbove]!.send(line('/first'))
    await eventually(() => order.length === busyAbove + 2)
    for (const caller of many.slice(busyAbove + 1)) caller.send(line('/much'))
    const late = await from(shop)
    late.send(line('/little'))
    await eventually(() => order.length === busyAbove + 2 + 199 + 1)
    expect(started.metric('hostmesh_caller_waits_total', callerAt(batch))).to.be.above(0)
    expect(started.metric('hostmesh_caller_waits_total', callerAt(shop))).to.equal(0)
    expect(started.metric('hostmesh_requests_awaiting_turn')).to.equal(0)
    for (const caller of callers) caller.close()
    await eventually(() => started.metric('hostmesh_requests_in_hand') === 0)
  })

  it('are answered with E_OVERLOAD while the worker cannot keep up, health checks are not, and it ends soon', async () => {
    await worker({}, () => 0)
    const caller = await from(batch)
    const deadline = performance.now() + 20_000
    const busy = (): void => {
      const end = performance.now() + shedding.lateMs + 150
      while (performance.now() < end);
    }
    while (started.metric('hostmesh_overload_shed_share') === 0 && performance.now() < deadline) {
      busy()
      await new Promise((resolve) => setImmediate(resolve))
    }
    caller.send(get)
    await caller.expect('E_OVERLOAD')
    expect(started.metric('hostmesh_overload_shed_total')).to.equal(1)
    expect(started.logged.join('\n')).to.include('refused with E_OVERLOAD')
    const check = await from(batch)
    check.send(`GET / HTTP/1.1\r\nHost: orders\r\nUser-Agent: hostmesh-check\r\n\r\n`)
    await check.expect('\r\n\r\nok')
    const over = performance.now()
    await eventually(() => started.metric('hostmesh_overload_shed_share') === 0)
    expect(performance.now() - over).to.be.below(5000)
  })
})
