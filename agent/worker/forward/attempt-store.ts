import { Attempt } from './attempt.ts'
import type { AttemptDeps } from './attempt.ts'

/** Attempts at rest that are kept; more are made when needed and left to the collector afterwards. */
const maxKept = 1024

/** Attempts for reuse: the one used last comes first, so that the working set stays small. */
export class AttemptStore {
  private readonly deps: AttemptDeps
  private readonly kept: Attempt[] = []

  constructor(deps: AttemptDeps) {
    this.deps = deps
  }

  take(): Attempt {
    return this.kept.pop() ?? new Attempt(this.deps, this)
  }

  give(attempt: Attempt): void {
    if (this.kept.length < maxKept) this.kept.push(attempt)
    else attempt.retire()
  }
}
