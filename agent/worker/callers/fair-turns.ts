/**
 * Whose request a busy worker begins next.
 *
 * Why: requests are begun as their bytes are read, so a caller with two thousand connections has two thousand of them
 * begun before the one of somebody else that came a moment later, and that one waits for the work of all. When it
 * trips: more than `busyAbove` requests are in hand, of which the last second saw two callers. Then each caller begins
 * at most `perTurn` in one turn of the loop, what is more waits in a line of its caller, and behind each turn the lines
 * are served one request each in rotation, `perTurn` in all, before the loop looks at sockets again. A turn stays
 * short, so whoever asks little is served at once, and the worker's time is shared by caller, not by connection. With
 * one caller, and while little is in hand, nothing waits and nobody is asked who it is.
 *
 * Bound: the requests that wait, `most()` of them; beyond it `enter` refuses.
 */
import { FairQueue } from '../connect/fair-queue.ts'
import type { Queued } from '../connect/fair-queue.ts'
import type { CallerAccount } from './caller-account.ts'

export const busyAbove = 64
export const perTurn = 16
const contestedMs = 1000

export interface Turned extends Queued {
  readonly account: CallerAccount
  /** In a later turn of the loop: it goes on. */
  onTurn(): void
}

export const Turn = { now: 0, later: 1, refused: 2 } as const
export type Turn = (typeof Turn)[keyof typeof Turn]

export interface FairTurnsDeps {
  /** Monotonic ms. */
  readonly now: () => number
  /** Most that may wait. */
  readonly most: () => number
  /** Behind this turn of the loop, before the next. */
  readonly behindTurn: (callback: () => void) => void
}

export class FairTurns {
  /** Requests that were begun and are not over. */
  inHand = 0
  private readonly deps: FairTurnsDeps
  private readonly lines = new FairQueue<Turned>()
  private last: CallerAccount | null = null
  private contestedUntil = Number.NEGATIVE_INFINITY
  private turn = 0
  private isEndDue = false

  constructor(deps: FairTurnsDeps) {
    this.deps = deps
  }

  /** Requests that wait. */
  get size(): number {
    return this.lines.size
  }

  /** Now or later it is in hand, until `leave`. */
  enter(turned: Turned): Turn {
    if (this.inHand < busyAbove && this.lines.size === 0) {
      this.inHand++
      return Turn.now
    }
    const { account } = turned
    if (this.last !== account) {
      if (this.last !== null) this.contestedUntil = this.deps.now() + contestedMs
      this.last = account
    }
    const isContested = this.lines.size > 0 || this.deps.now() < this.contestedUntil
    if (!isContested || this.begins(account)) {
      this.inHand++
      return Turn.now
    }
    if (this.lines.size >= this.deps.most()) return Turn.refused
    account.waits++
    this.lines.push(turned)
    this.endTurnSoon()
    return Turn.later
  }

  /** It is over, or goes on elsewhere. */
  leave(): void {
    this.inHand--
  }

  /** It waits no more. False when it did not. */
  forget(turned: Turned): boolean {
    return this.lines.remove(turned)
  }

  private begins(account: CallerAccount): boolean {
    if (account.turn !== this.turn) {
      account.turn = this.turn
      account.begun = 0
    }
    this.endTurnSoon()
    if (account.begun >= perTurn) return false
    account.begun++
    return true
  }

  private endTurnSoon(): void {
    if (this.isEndDue) return
    this.isEndDue = true
    this.deps.behindTurn(this.endTurn)
  }

  private readonly endTurn = (): void => {
    this.isEndDue = false
    this.turn++
    if (this.lines.size === 0) return
    this.endTurnSoon()
    for (let begun = 0; begun < perTurn; begun++) {
      const turned = this.lines.take()
      if (turned === undefined) return
      this.inHand++
      turned.onTurn()
    }
  }
}
