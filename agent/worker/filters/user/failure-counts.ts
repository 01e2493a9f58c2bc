/** What went wrong with filters of users: `hostmesh_filter_failures_total{filter,kind}`. */
import { NamedTallies } from '../named-tallies.ts'

/**
 * `thrown`: also a promise that was rejected. `stray`: thrown where nobody waited for it. `answer`: what it said is not
 * allowed. `hung`: a worker had to end. `load`: it could not be made.
 */
export type FailureKind = 'thrown' | 'timeout' | 'stray' | 'answer' | 'hung' | 'load'

export class FailureCounts extends NamedTallies<FailureKind> {
  constructor() {
    super([
      ['thrown', 'thrown'],
      ['timeout', 'timeout'],
      ['stray', 'stray'],
      ['answer', 'answer'],
      ['hung', 'hung'],
      ['load', 'load'],
    ])
  }
}
