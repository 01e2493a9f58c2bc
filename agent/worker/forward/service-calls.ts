/**
 * What the mesh itself asks a service: one request over the connections of that service, balanced, counted and bounded
 * like those of callers, and its answer as a whole. A question whose connection ends before any byte of an answer is
 * asked once more; questions change nothing, so that can do no harm.
 *
 * Bound: `maxCalls` at a time in a worker; what comes beyond it has no answer.
 */
import { clusterKey } from '../route/destination.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import { overflow, waiting } from '../connect/endpoint-pool.ts'
import type { ConnectionWaiter, EndpointPool } from '../connect/endpoint-pool.ts'
import { noEdits, OwnRequest } from '../connect/own-request.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { CallOutcome, Calls, Question } from '../filters/calls.ts'
import type { Clock } from '../transport/clock.ts'
import { KeptBytes } from '../transport/kept-bytes.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Fields, ReplyMessage, ReplyVerdict, UpstreamOwner, UpstreamStream } from './streams.ts'

const maxCalls = 2048
const maxTries = 2

export interface ServiceCallsDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly mesh: { upstream(clusterKey: string): Upstream | undefined }
}

export class ServiceCalls implements Calls {
  private readonly deps: ServiceCallsDeps
  /** No set: one that changes for each request keeps what was in it until all memory is looked through. */
  private running = 0

  constructor(deps: ServiceCallsDeps) {
    this.deps = deps
  }

  ask(question: Question, done: (outcome: CallOutcome) => void): { cancel(): void } {
    if (this.running >= maxCalls) {
      const soon = setImmediate(() => done({ failure: `more than ${maxCalls} questions at a time` }))
      return { cancel: () => clearImmediate(soon) }
    }
    const call = new ServiceCall(this.deps, question, (outcome) => {
      this.running--
      if (outcome !== null) done(outcome)
    })
    this.running++
    call.start()
    return call
  }
}

const noFields: Fields = []

class ServiceCall implements UpstreamOwner, ConnectionWaiter, TimerOwner {
  readonly callerKey = 'mesh'
  readonly contentTarget = null
  readonly caller = null
  private readonly deps: ServiceCallsDeps
  private readonly question: Question
  /** null: it was cancelled. */
  private readonly onEnded: (outcome: CallOutcome | null) => void
  private readonly timer: Timer
  private upstream: Upstream | null = null
  private state: EndpointState | null = null
  private pool: EndpointPool | null = null
  private stream: UpstreamStream | null = null
  private triedAt = 0
  private tries = 0
  private status = 0
  private fields: [string, string][] = []
  private readonly content: KeptBytes = new KeptBytes()
  private soon: NodeJS.Immediate | null = null
  private isOver = false

  constructor(deps: ServiceCallsDeps, question: Question, onEnded: (outcome: CallOutcome | null) => void) {
    this.deps = deps
    this.question = question
    this.onEnded = onEnded
    this.timer = new Timer(this, 0)
  }

  start(): void {
    const { clock, wheel } = this.deps
    wheel.arm(this.timer, clock.now + this.question.timeoutMs)
    this.attempt()
  }

  cancel(): void {
    if (this.isOver) return
    this.giveUp(Outcome.cancelled)
    this.finish(null)
  }

  private attempt(): void {
    const { clock, mesh, random } = this.deps
    const { isGrpc, port, service } = this.question
    this.tries++
    const upstream = mesh.upstream(clusterKey(service, undefined, port))
    if (upstream === undefined) return this.failSoon(`service ${service} is not known here`)
    if (isGrpc && upstream.pools.protocol !== 'http2')
      return this.failSoon(`service ${service} speaks ${upstream.pools.protocol}, and gRPC needs HTTP/2`)
    upstream.uses++
    if (upstream.cluster.admit(clock.now) !== null) return this.failSoon(`the limits of service ${service}`)
    const context = { now: clock.now, random, hash: 0, hasHash: false, tried: null, original: '' }
    const picked = upstream.cluster.pick(context)
    if (picked.kind === 'refusal') {
      upstream.cluster.release()
      return this.failSoon(`service ${service} has no endpoint`)
    }
    this.upstream = upstream
    this.state = picked
    this.triedAt = clock.now
    upstream.cluster.beginAttempt(picked, clock.now)
    this.pool = upstream.pools.of(picked, undefined)
    const got = this.pool.acquire(this, this.tries > 1)
    if (got === overflow) {
      this.leave(Outcome.cancelled)
      this.failSoon(`service ${service} takes no more connections`)
    } else if (got !== waiting) this.onConnection(got)
  }

  onConnection(connection: PooledConnection): void {
    const { content } = this.question
    const stream = connection.open(this)
    this.stream = stream
    stream.send(new OwnRequest({ ...this.question, contentLength: content.length }), noEdits)
    if (content.length > 0) stream.content(content, 0, content.length)
    stream.end(null)
    stream.flush()
  }

  onConnectFailed(outcome: Outcome, reason: string): void {
    this.leave(outcome)
    this.again(`no connection to it: ${reason}`)
  }

  onEndpointLeft(): void {}
  onDrained(): void {}
  onInterim(): void {}
  onMoved(): void {}
  onPause(): void {}

  onReply(reply: ReplyMessage): ReplyVerdict {
    if (this.status === 0) this.upstream!.cluster.answered()
    this.status = reply.status
    reply.eachField((name, value) => this.fields.push([name, value]))
    return 'pass'
  }

  onContent(buf: Buffer, from: number, to: number): void {
    if (this.content.length + to - from <= this.question.maxAnswerBytes) {
      this.content.add(buf, from, to)
      return
    }
    this.giveUp(Outcome.cancelled)
    this.finish({ failure: `its answer has more than ${this.question.maxAnswerBytes} bytes` })
  }

  onEnd(trailers: Fields | null): void {
    const { stream } = this
    this.stream = null
    this.leave(this.status >= 500 ? Outcome.serverError : Outcome.ok)
    stream!.release()
    const { content, fields, status } = this
    this.finish({ status, fields, content: content.whole(), trailers: trailers ?? noFields })
  }

  onSwitch(): void {
    this.giveUp(Outcome.protocol)
    this.finish({ failure: 'it switches protocols' })
  }

  onBroken(outcome: Outcome, reason: string): void {
    const hasBegun = this.status !== 0
    this.stream = null
    this.leave(outcome)
    if (hasBegun) this.finish({ failure: `its answer broke: ${reason}` })
    else this.again(`it ended the connection: ${reason}`)
  }

  onTimer(): void {
    this.deps.clock.refresh()
    this.giveUp(Outcome.timeout)
    this.finish({ failure: 'timeout' })
  }

  private again(failure: string): void {
    if (this.tries < maxTries) this.attempt()
    else this.failSoon(failure)
  }

  /** Whoever asks may not be answered before `ask` returns. */
  private failSoon(failure: string): void {
    this.soon = setImmediate(() => {
      this.deps.clock.refresh()
      this.finish({ failure })
    })
  }

  /** Ends what runs. */
  private giveUp(outcome: Outcome): void {
    const { stream } = this
    this.stream = null
    if (stream === null) this.pool?.forget(this)
    else stream.abandon()
    this.leave(outcome)
  }

  /** Gives back what the try holds of its destination. */
  private leave(outcome: Outcome): void {
    const { deps, state, status, triedAt, upstream } = this
    this.state = null
    this.pool = null
    if (upstream === null || state === null) return
    const isAnswered = outcome === Outcome.ok || outcome === Outcome.serverError
    const { now } = deps.clock
    upstream.cluster.endAttempt(state, outcome, isAnswered ? status : 0, isAnswered ? now - triedAt : -1, now)
    upstream.cluster.release('', status > 0)
  }

  private finish(outcome: CallOutcome | null): void {
    if (this.isOver) return
    this.isOver = true
    this.deps.wheel.drop(this.timer)
    if (this.soon !== null) clearImmediate(this.soon)
    this.onEnded(outcome)
  }
}
