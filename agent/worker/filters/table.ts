/** All kinds of filters. This list is the one place that decides in which order the filters of a route run. */
import { corsKind } from './cors.ts'
import { directResponseKind } from './direct-response.ts'
import { faultAbortKind } from './fault-abort.ts'
import { faultDelayKind } from './fault-delay.ts'
import { noFilterCounts } from './filter-counts.ts'
import type { Filter, FilterCounts, FilterTable, RouteFilter } from './filter.ts'
import type { FilterKind } from './kind.ts'
import { rateLimitKind } from './rate-limit.ts'
import { redirectKind } from './redirect.ts'
import type { VerdictCounts } from './verdict-counts.ts'

/**
 * A preflight carries no credentials and is answered before anything counts it; faults come before limits, so that a
 * request that is to fail takes no token; what answers in any case stands last. A kind makes nothing for most routes.
 */
export const filterKinds: readonly FilterKind[] = [
  corsKind,
  faultDelayKind,
  faultAbortKind,
  rateLimitKind,
  redirectKind,
  directResponseKind,
]

/** `kinds` in their order; `counts` and `verdicts` (made for the same kinds) are those of the worker. */
export function filterTable(kinds: readonly FilterKind[], counts: FilterCounts, verdicts: VerdictCounts): FilterTable {
  return {
    filtersOf(route, { former, host, isCounted, limitShare, now, responseEdits }) {
      const filters: RouteFilter[] = []
      for (const { kind, make } of kinds) {
        const place = {
          host,
          route,
          responseEdits,
          now,
          limitShare,
          counts: isCounted ? counts : noFilterCounts(),
          former(stateId: string): Filter | undefined {
            const known = former.get(stateId)
            return known?.kind === kind ? known : undefined
          },
        }
        for (const filter of make(place)) filters.push(isCounted ? verdicts.counted(filter) : uncounted(filter))
      }
      return filters
    },
  }
}

function uncounted(filter: Filter): RouteFilter {
  return { filter, verdicts: new Float64Array(3), at: 0 }
}
