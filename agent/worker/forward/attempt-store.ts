import { Attempt } from './attempt.ts'
import type { Road } from './road.ts'

/** Attempts at rest that are kept; more are made when needed and left to the collector afterwards. */
const maxKept = 1024

/** Attempts for reuse: the one used last comes first, so that the working set stays small. */
export class AttemptStore {
  private readonly kept: Attempt[] = []

  take(road: Road): Attempt {
    return this.kept.pop() ?? new Attempt(road)
  }

  give(attempt: Attempt): void {
    if (this.kept.length < maxKept) this.kept.push(attempt)
    else attempt.retire()
  }

  /** The bounds on heads changed: what is kept was made for the old ones. */
  clear(): void {
    for (const attempt of this.kept) attempt.retire()
    this.kept.length = 0
  }
}
