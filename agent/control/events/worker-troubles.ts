/**
 * Ejections and breakers of all workers as events of the host: an endpoint is out while any worker has it out, and back
 * when none has had it out for a while, so that a restart, in which workers take that over from each other, is no news.
 */
import { maxWorkerTroubles, type WorkerTrouble } from '../../../contracts/events.ts'
import type { Clock } from '../clock.ts'
import type { Timeline } from './timeline.ts'

/** How long a trouble must be gone from all workers before it counts as over, ms. */
const settleMs = 2000

export interface WorkerTroublesDeps {
  readonly timeline: Timeline
  readonly clock: Clock
}

export class WorkerTroubles {
  private readonly deps: WorkerTroublesDeps
  /** By process id. */
  private readonly told = new Map<number, readonly WorkerTrouble[]>()
  private cancel: (() => void) | undefined

  constructor(deps: WorkerTroublesDeps) {
    this.deps = deps
  }

  /** All that is wrong in a worker now; the list is its own word and is checked. */
  hear(pid: number, troubles: unknown): void {
    const checked = (Array.isArray(troubles) ? (troubles as unknown[]) : []).filter(isTrouble)
    this.told.set(pid, checked.slice(0, maxWorkerTroubles))
    for (const { about, kind, reason, what } of this.told.get(pid)!)
      this.deps.timeline.turn({
        kind,
        about,
        what,
        message: kind === 'ejection' ? `taken out: ${reason}` : `the circuit breaker is ${what}${reason}`,
        severity: what === 'half-open' ? 'info' : 'warning',
      })
    this.settleSoon()
  }

  /** These workers are all that there are. */
  retain(pids: ReadonlySet<number>): void {
    let hasLost = false
    for (const pid of this.told.keys()) if (!pids.has(pid)) hasLost = this.told.delete(pid)
    if (hasLost) this.settleSoon()
  }

  close(): void {
    this.cancel?.()
  }

  private settleSoon(): void {
    this.cancel ??= this.deps.clock.after(settleMs, () => {
      this.cancel = undefined
      this.settle()
    })
  }

  private settle(): void {
    // workers that have said nothing yet may know better
    if (this.told.size === 0) return
    const { timeline } = this.deps
    const present = new Set([...this.told.values()].flat().map(({ about, kind }) => `${kind} ${about}`))
    for (const event of timeline.open('ejection', 'back'))
      if (!present.has(`ejection ${event.about}`))
        timeline.turn({ kind: 'ejection', about: event.about, what: 'back', message: 'takes requests again' })
    for (const event of timeline.open('breaker', 'closed'))
      if (!present.has(`breaker ${event.about}`))
        timeline.turn({ kind: 'breaker', about: event.about, what: 'closed', message: 'the circuit breaker is closed' })
  }
}

function isTrouble(value: unknown): value is WorkerTrouble {
  const { about, kind, reason, what } = Object(value) as Record<keyof WorkerTrouble, unknown>
  return (kind === 'ejection' || kind === 'breaker') && [about, reason, what].every((one) => typeof one === 'string')
}
