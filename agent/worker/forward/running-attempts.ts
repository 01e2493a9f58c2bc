import { Outcome } from '../balance/types.ts'

/** What is asked of them here. */
export interface RunningAttempt {
  abandon(outcome: Outcome): void
}

/**
 * The attempts of one request that are under way: mostly one; with hedging several beside each other, of which the
 * first with a reply wins.
 */
export class RunningAttempts<A extends RunningAttempt> {
  /** Begun last; later the winner, until its reply is over. */
  newest: A | null = null
  /** Whose reply goes to the caller. */
  winner: A | null = null
  private earlier: A[] | null = null

  /** Whether another one than the newest may still bring the reply. */
  get isRace(): boolean {
    return this.earlier !== null && this.earlier.length > 0
  }

  /** Of those that still run, it is the one that began first. */
  isFirst(attempt: A): boolean {
    return (this.earlier?.[0] ?? this.newest) === attempt
  }

  /** Makes room for another one beside those under way. */
  setNewestAside(): void {
    if (this.newest === null) return
    ;(this.earlier ??= []).push(this.newest)
    this.newest = null
  }

  /** The newest came to nothing: one that began before it takes its place. False when there is none. */
  goBack(): boolean {
    this.newest = this.earlier?.pop() ?? null
    return this.newest !== null
  }

  /** Forgets one that has ended. */
  drop(attempt: A): void {
    const { earlier } = this
    if (this.newest === attempt) {
      this.goBack()
      return
    }
    const index = earlier === null ? -1 : earlier.indexOf(attempt)
    if (index >= 0) earlier!.splice(index, 1)
  }

  /** Ends all the others. */
  win(attempt: A): void {
    this.winner = attempt
    const losers = this.earlier
    const { newest } = this
    this.newest = attempt
    if (losers === null) return
    this.earlier = null
    if (newest !== attempt && newest !== null) losers.push(newest)
    for (const loser of losers) if (loser !== attempt) loser.abandon(Outcome.cancelled)
  }

  /** The winner is over. */
  finish(): void {
    this.newest = null
    this.winner = null
  }

  /** Ends those without a reply. `outcome`: how the newest ended; of the others that says nothing. */
  abandonLosing(outcome: Outcome): void {
    if (this.winner !== null) return
    const { earlier, newest } = this
    this.newest = null
    this.earlier = null
    if (newest !== null) newest.abandon(outcome)
    if (earlier !== null) for (const attempt of earlier) attempt.abandon(Outcome.cancelled)
  }
}
