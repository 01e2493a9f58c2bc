import { DecisionCounts } from '../../agent/worker/filters/authorization/decision-counts.ts'
import { AuthorizerCounts } from '../../agent/worker/filters/ext-authz/authorizer-counts.ts'
import type { FilterKind } from '../../agent/worker/filters/kind.ts'
import { filterKinds } from '../../agent/worker/filters/table.ts'
import { limitCounts } from '../../agent/worker/worker-filters.ts'

/** All kinds of filters, as a worker has them, with counts that nobody reads. */
export function allFilterKinds(): readonly FilterKind[] {
  return filterKinds({
    decisions: new DecisionCounts(),
    limits: limitCounts(),
    userFilters: undefined,
    counts: new AuthorizerCounts(),
    wallClock: Date.now,
    warn: () => {},
    calls: { ask: () => ({ cancel: () => {} }) },
  })
}
