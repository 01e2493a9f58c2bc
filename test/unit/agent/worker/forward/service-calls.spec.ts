import { expect } from 'chai'

import type { EndpointPool } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { PooledConnection } from '../../../../../agent/worker/connect/pooled-connection.ts'
import type { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import type { CallOutcome, Question } from '../../../../../agent/worker/filters/calls.ts'
import { ServiceCalls } from '../../../../../agent/worker/forward/service-calls.ts'
import type { ReplyMessage, UpstreamOwner } from '../../../../../agent/worker/forward/streams.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'

/** As many at a time as a worker may have. */
const most = 2048

const question: Question = {
  service: keyOf('authz'),
  port: undefined,
  isGrpc: false,
  method: 'GET',
  authority: 'authz',
  target: '/check',
  fields: [],
  content: Buffer.alloc(0),
  timeoutMs: 1000,
  maxAnswerBytes: 1024,
}

describe('questions to services', () => {
  let now: number
  let clock: Clock
  let wheel: TimerWheel
  let calls: ServiceCalls
  /** Those that wait for an answer. */
  let asked: UpstreamOwner[]
  let outcomes: CallOutcome[]
  let unanswered: number

  beforeEach(() => {
    now = 1
    clock = new Clock(() => now)
    asked = []
    outcomes = []
    unanswered = 0
    wheel = new TimerWheel(
      () => now,
      () => {},
    )
    const stream = { send() {}, content() {}, end() {}, flush: () => true, release() {}, abandon() {} }
    const connection = { open: (owner: UpstreamOwner) => (asked.push(owner), stream) } as unknown as PooledConnection
    const pool = { acquire: () => connection, forget: () => false } as unknown as EndpointPool
    const cluster = {
      admit: () => (unanswered++, null),
      pick: () => ({ kind: 'endpoint' }),
      answered: () => unanswered--,
      release: (_share: string, isAnswered: boolean) => isAnswered || unanswered--,
      beginAttempt() {},
      endAttempt() {},
    }
    const upstream = { uses: 0, cluster, pools: { protocol: 'http1', of: () => pool } } as unknown as Upstream
    calls = new ServiceCalls({ clock, wheel, random: () => 0, mesh: { upstream: () => upstream } })
  })

  const ask = () => calls.ask(question, (outcome) => outcomes.push(outcome))
  const reply: ReplyMessage = {
    status: 200,
    hasContent: false,
    contentLength: 0,
    header: () => undefined,
    eachField() {},
    wire: null,
  }

  function answer(owner: UpstreamOwner): void {
    owner.onReply(reply)
    owner.onEnd(null)
  }

  /** Asks until no more are taken. */
  async function room(): Promise<number> {
    const before = asked.length
    outcomes.length = 0
    while (asked.length <= before + most) {
      const count = asked.length
      ask()
      if (asked.length > count) continue
      await new Promise((resolve) => setImmediate(resolve))
      expect(outcomes).to.deep.equal([{ failure: `more than ${most} questions at a time` }])
      break
    }
    return asked.length - before
  }

  it('are bounded, and each that has ended in whatever way makes room for one', async () => {
    const first = ask()
    const second = ask()
    expect(await room()).to.equal(most - 2)
    answer(asked.at(-1)!)
    expect(await room()).to.equal(1)
    first.cancel()
    first.cancel()
    expect(await room(), 'cancelled twice').to.equal(1)
    answer(asked[1]!)
    second.cancel()
    expect(await room(), 'cancelled behind its answer').to.equal(1)
    now += 2000
    wheel.advance()
    expect(outcomes.filter((outcome) => 'failure' in outcome && outcome.failure === 'timeout')).to.have.length(most)
    expect(unanswered).to.equal(0)
    expect(await room(), 'all too late').to.equal(most)
    expect(unanswered).to.equal(most)
  })
})
