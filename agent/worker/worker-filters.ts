/** The filters of one worker and what they count. */
import { DecisionCounts } from './filters/authorization/decision-counts.ts'
import type { Calls } from './filters/calls.ts'
import { AuthorizerCounts } from './filters/ext-authz/authorizer-counts.ts'
import type { LimitCounts, LimitResult } from './filters/global-rate-limit/limit-counts.ts'
import type { FilterCounts, FilterTable } from './filters/filter.ts'
import type { FilterKind } from './filters/kind.ts'
import { filterKinds, filterTable } from './filters/table.ts'
import { NamedTallies } from './filters/named-tallies.ts'
import { UserFilters } from './filters/user/user-filters.ts'
import { VerdictCounts } from './filters/verdict-counts.ts'
import type { WorkerOptions } from './worker-options.ts'

export interface WorkerFiltersDeps {
  readonly calls: Calls
  readonly warn: (message: string) => void
  /** Monotonic ms. */
  readonly now: () => number
  readonly options: Pick<WorkerOptions, 'filterKinds' | 'filterMarks' | 'log'>
}

export class WorkerFilters {
  readonly decisions: DecisionCounts = new DecisionCounts()
  readonly authorizers: AuthorizerCounts = new AuthorizerCounts()
  readonly limits: LimitCounts = limitCounts()
  readonly userFilters: UserFilters
  readonly verdicts: VerdictCounts
  private readonly deps: WorkerFiltersDeps
  private readonly kinds: readonly FilterKind[]

  constructor(deps: WorkerFiltersDeps) {
    this.deps = deps
    const { now, options } = deps
    this.userFilters = new UserFilters({ now, log: options.log, marksDirectory: options.filterMarks })
    this.kinds = this.kindsWith(this.authorizers, this.decisions, this.limits, this.userFilters)
    this.verdicts = new VerdictCounts(this.kinds)
  }

  table(counts: FilterCounts): FilterTable {
    return filterTable(this.kinds, counts, this.verdicts)
  }

  /** For a dry run: what they count is nobody's, and code of users is not run. */
  quietKinds(): readonly FilterKind[] {
    return this.kindsWith(new AuthorizerCounts(), new DecisionCounts(), limitCounts(), undefined)
  }

  private kindsWith(
    counts: AuthorizerCounts,
    decisions: DecisionCounts,
    limits: LimitCounts,
    userFilters: UserFilters | undefined,
  ): readonly FilterKind[] {
    const { calls, options, warn } = this.deps
    return (
      options.filterKinds ?? filterKinds({ calls, warn, wallClock: Date.now, counts, decisions, limits, userFilters })
    )
  }
}

const limitResults: readonly LimitResult[] = [
  'ok',
  'over_limit',
  'error',
  'timeout',
  'local_ok',
  'local_over_limit',
  'failure_mode_allowed',
  'failure_mode_denied',
]

/** With nothing counted. */
export function limitCounts(): LimitCounts {
  return new NamedTallies(limitResults.map((one) => [one, one] as const))
}
