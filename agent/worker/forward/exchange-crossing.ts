import type { HeaderEdits } from '../route/fields.ts'
import type { Timer, TimerWheel } from '../transport/timer-wheel.ts'
import type { Clock } from '../transport/clock.ts'
import type { EditsState, ExchangeState } from './exchange-state.ts'
import type { ExchangeContext } from './filter-context.ts'
import type { GrpcCall } from './grpc/call.ts'
import { listenerHost } from './listener-host.ts'
import type { MeshView } from './mesh-view.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import type { OutgoingRequest } from './outgoing-request.ts'
import type { Routing } from './routing.ts'
import type { Crossing, DownstreamStream, RequestMessage, UpstreamOwner, UpstreamStream } from './streams.ts'
import type { Tries } from './tries.ts'

export interface CrossingDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly mesh: MeshView
}

/** The parts of an exchange, as they are carried over. */
export interface CarriedExchange {
  readonly stream: DownstreamStream
  readonly request: RequestMessage
  readonly routing: Routing
  readonly tries: Tries
  readonly outgoing: OutgoingRequest
  readonly reply: OutgoingReply
  readonly call: GrpcCall
  readonly wholeTimer: Timer
  /** What filters make of content stays in this process. */
  readonly context: Pick<ExchangeContext, 'replyChange' | 'limit'>
  readonly wait: { waitedMs: number; readonly isOn: boolean }
  readonly isParked: boolean
  startedAt: number
  hasRequest: boolean
  discard(): void
}

/** How an exchange in flight becomes plain data, and goes on from it. */
export class ExchangeCrossing implements Crossing {
  private readonly deps: CrossingDeps
  private readonly exchange: CarriedExchange

  constructor(deps: CrossingDeps, exchange: CarriedExchange) {
    this.deps = deps
    this.exchange = exchange
  }

  get carried(): UpstreamStream | null {
    const { call, context, hasRequest, isParked, outgoing, request, tries, wait } = this.exchange
    if (!hasRequest || isParked || wait.isOn || outgoing.hasCopies || request.asksUpgrade) return null
    if (call.web !== null || context.replyChange !== null || context.limit !== null) return null
    if (tries.isWaiting || tries.running.isRace) return null
    return tries.running.newest === null ? null : tries.running.newest.carried
  }

  state(): ExchangeState {
    const { call, outgoing, reply, routing, startedAt, tries, wait, wholeTimer } = this.exchange
    const { now } = this.deps.clock
    const { body, requestId, trace } = outgoing
    const { visit } = tries
    const attempt = tries.running.newest!
    return {
      cluster: visit.upstream!.key,
      endpoint: attempt.state!.id,
      agoMs: now - startedAt,
      waitedMs: wait.waitedMs,
      leftMs: wholeTimer.isArmed ? Math.max(0, wholeTimer.deadline - now) : -1,
      body: body.state,
      reply: reply.state,
      call: call.stateAt(now),
      tries: tries.state,
      attempt: attempt.stateAt(now),
      trace: trace.state,
      requestId: requestId.state,
      token: routing.token,
      edits: plain(routing.requestEdits),
      replyEdits: plain(routing.replyEdits),
      cookie: plain(visit.hashCookie),
    }
  }

  leave(): void {
    const { exchange } = this
    const { running, visit } = exchange.tries
    running.newest!.leave()
    running.finish()
    visit.leave()
    exchange.discard()
  }

  get keptBytes(): number {
    return this.exchange.outgoing.body.replay.length
  }

  restore(state: ExchangeState, open: (owner: UpstreamOwner) => UpstreamStream): void {
    const { call, outgoing, reply, request, routing, stream, tries, wait, wholeTimer } = this.exchange
    const { clock, mesh, wheel } = this.deps
    const { now } = clock
    const upstream = mesh.upstream(state.cluster)!
    const endpoint = upstream.cluster.states.find(({ id }) => id === state.endpoint)!
    this.exchange.startedAt = now - state.agoMs
    this.exchange.hasRequest = true
    wait.waitedMs = state.waitedMs
    if (state.leftMs >= 0) wheel.arm(wholeTimer, now + state.leftMs)
    routing.token = state.token ?? null
    if (state.edits !== null) routing.editRequest(edits(state.edits))
    if (state.replyEdits) routing.editReply(edits(state.replyEdits))
    routing.rejoin(mesh, request, listenerHost(mesh, stream.accepted, request.authority), state.cluster)
    outgoing.body.restore(state.body)
    outgoing.trace.restore(state.trace)
    outgoing.requestId.restore(state.requestId)
    reply.restore(state.reply)
    if (state.call !== null) call.restore(state.call, now)
    const attempt = tries.restore(state, upstream, endpoint)
    if (state.cookie !== null) tries.visit.hashCookie = edits(state.cookie)
    attempt.carry(open(attempt))
  }
}

function plain(given: HeaderEdits | null): EditsState | null {
  return given === null ? null : { fields: given.fields, drop: [...given.drop] }
}

function edits({ drop, fields }: EditsState): HeaderEdits {
  return { fields, drop: new Set(drop) }
}
