import { errorCodes } from '../../../contracts/errors.ts'
import { probeRequest } from '../../../contracts/handoff.ts'
import type { CallerAccount } from '../callers/caller-account.ts'
import { Turn } from '../callers/fair-turns.ts'
import type { FairTurns, Turned } from '../callers/fair-turns.ts'
import type { LoadShedder } from '../callers/load-shedder.ts'
import { refusalDelay } from '../callers/slow-refusals.ts'
import type { Answer } from '../filters/answer.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'

export interface CallerTurnDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly refusals: { readonly areHeldBack: boolean }
  readonly shedder: Pick<LoadShedder, 'refuses'>
  readonly turns: Pick<FairTurns, 'enter' | 'leave' | 'forget'>
}

export interface CallerTurnOwner {
  readonly stream: Pick<DownstreamStream, 'account' | 'accepted'>
  readonly request: RequestMessage
  /** It is this request's turn. */
  proceed(): void
  /** The time of a refusal that was held back is over. */
  tell(answer: Answer): void
}

/**
 * What one request waits for on account of its caller: its turn to begin, and the time until its refusal is told.
 * Reused with its exchange.
 */
export class CallerTurn implements TimerOwner, Turned {
  private readonly deps: CallerTurnDeps
  private readonly owner: CallerTurnOwner
  private readonly timer: Timer
  private isInHand = false
  private isWaiting = false
  private held: Answer | null = null

  constructor(deps: CallerTurnDeps, owner: CallerTurnOwner) {
    this.deps = deps
    this.owner = owner
    this.timer = new Timer(this, 0)
  }

  get account(): CallerAccount {
    return this.owner.stream.account
  }
  get callerKey(): string {
    return this.account.name
  }

  begin(): Turn {
    const { request, stream } = this.owner
    const { shedder } = this.deps
    if (shedder.refuses(request, stream.accepted.listener.virtualHost === probeRequest.host)) return Turn.refused
    const turn = this.deps.turns.enter(this)
    this.isInHand = turn === Turn.now
    this.isWaiting = turn === Turn.later
    return turn
  }

  onTurn(): void {
    this.isWaiting = false
    this.isInHand = true
    this.deps.clock.refresh()
    this.owner.proceed()
  }

  /** True: `tell` follows. What comes while one is held back is told at once in its place. */
  holdsBack(answer: Answer): boolean {
    if (this.held !== null) {
      this.held = null
      this.deps.wheel.disarm(this.timer)
      return false
    }
    const { clock, random, refusals, turns, wheel } = this.deps
    if (!refusals.areHeldBack || this.isForAnotherAgent(answer)) return false
    const delayMs = refusalDelay(this.account, clock.now, random())
    if (delayMs === 0) return false
    // it is not begun any more
    if (this.isWaiting) turns.forget(this)
    this.isWaiting = false
    this.held = answer
    wheel.arm(this.timer, clock.now + delayMs)
    return true
  }

  /** Told at once, for the agent of the caller brings the request elsewhere. */
  private isForAnotherAgent({ code }: Answer): boolean {
    const { kind } = this.owner.stream.accepted.listener
    return (kind === 'inbound' || kind === 'relay') && code !== undefined && errorCodes[code].retry === 'before-send'
  }

  onTimer(): void {
    const { held } = this
    this.held = null
    this.deps.clock.refresh()
    this.owner.tell(held!)
  }

  /** For the next request. */
  reset(): void {
    const { turns, wheel } = this.deps
    if (this.isInHand) turns.leave()
    else if (this.isWaiting) turns.forget(this)
    this.isInHand = false
    this.isWaiting = false
    if (this.held === null) return
    this.held = null
    wheel.disarm(this.timer)
  }

  retire(): void {
    this.deps.wheel.drop(this.timer)
  }
}
