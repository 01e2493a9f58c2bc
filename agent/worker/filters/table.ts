/** All kinds of filters, by the name that an entry of a route's list has. The list is the order (control made it). */
import type * as Authorization from './authorization/authorization.ts'
import type { DecisionCounts } from './authorization/decision-counts.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { lazily } from '../lazily.ts'
import { corsKind } from './cors.ts'
import { directResponseKind } from './direct-response.ts'
import { faultAbortKind } from './fault-abort.ts'
import { faultDelayKind } from './fault-delay.ts'
import { noFilterCounts } from './filter-counts.ts'
import type {
  ConnectionFilter,
  Filter,
  FilterCounts,
  FilterTable,
  RouteFilter,
  RoutePlace,
  StatefulFilter,
} from './filter.ts'
import type * as ExtAuthz from './ext-authz/ext-authz.ts'
import type { AuthorizerDeps } from './ext-authz/external-authorizer.ts'
import type * as GlobalRateLimit from './global-rate-limit/global-rate-limit.ts'
import type { LimitCounts } from './global-rate-limit/limit-counts.ts'
import type * as Jwt from './jwt/jwt.ts'
import type { FilterKind, FilterPlace, MadeOf } from './kind.ts'
import { rateLimitKind } from './rate-limit.ts'
import { redirectKind } from './redirect.ts'
import type * as UserKind from './user/user-kind.ts'
import type { UserFilters } from './user/user-filters.ts'
import type { VerdictCounts } from './verdict-counts.ts'

const base = import.meta.url
const jwt = lazily<typeof Jwt>(base, './jwt/jwt', 'filter jwt')
const extAuthz = lazily<typeof ExtAuthz>(base, './ext-authz/ext-authz', 'filter ext-authz')
const authorization = lazily<typeof Authorization>(base, './authorization/authorization', 'filter authorization')
const globalRateLimit = lazily<typeof GlobalRateLimit>(
  base,
  './global-rate-limit/global-rate-limit',
  'filter global-rate-limit',
)
const user = lazily<typeof UserKind>(base, './user/user-kind', 'filters of users')

export interface FilterKindDeps extends AuthorizerDeps {
  /** Where authorization counts. */
  readonly decisions: DecisionCounts
  /** Where shared limits count. */
  readonly limits: LimitCounts
  /** undefined: they are not run, in a dry run. */
  readonly userFilters: UserFilters | undefined
}

export function filterKinds(deps: FilterKindDeps): readonly FilterKind[] {
  const { calls, decisions, limits, userFilters, wallClock, warn } = deps
  return [
    corsKind,
    loadedLate('jwt', () => jwt().jwtKind(wallClock)),
    loadedLate('ext-authz', () => extAuthz().extAuthzKind(deps)),
    loadedLate('authorization', () => authorization().authorizationKind(decisions)),
    loadedLate('user', () => user().userKind(userFilters)),
    faultDelayKind,
    faultAbortKind,
    rateLimitKind,
    loadedLate('global-rate-limit', () => globalRateLimit().globalRateLimitKind({ calls, counts: limits, warn })),
    redirectKind,
    directResponseKind,
  ]
}

/** A kind that is loaded with the first route that has it; where it cannot be, that route is refused by name. */
function loadedLate(kind: string, load: () => FilterKind): FilterKind {
  let loaded: FilterKind | undefined
  return { kind, make: (spec, place) => (loaded ??= load()).make(spec, place) }
}

/** `counts` and `verdicts` (made for the same kinds) are those of the worker. */
export function filterTable(kinds: readonly FilterKind[], counts: FilterCounts, verdicts: VerdictCounts): FilterTable {
  const byName = new Map(kinds.map((one) => [one.kind, one]))

  function made<F>(spec: MadeOf, route: FilterPlace['route'], place: RoutePlace): RouteFilter<F> {
    const kind = byName.get(spec.kind)
    if (kind === undefined)
      throw new MeshError('E_SNAPSHOT_CORRUPT', `route ${route.name} of ${place.host}: no filter ${spec.kind} is known`)
    const { former, isCounted, ...rest } = place
    const filter = kind.make(spec, {
      ...rest,
      route,
      counts: isCounted ? counts : noFilterCounts(),
      former(stateId) {
        const known = former.get(stateId)
        return known?.kind === spec.kind ? (known as StatefulFilter & Filter) : undefined
      },
    })
    return (isCounted ? verdicts.counted(filter) : uncounted(filter)) as RouteFilter<F>
  }

  return {
    filtersOf(route, place) {
      const { action, filters = [] } = route
      const specs = action.kind === 'forward' ? filters : [...filters, action]
      return specs.map((spec) => made<Filter>(spec, route, place))
    },
    firstFiltersOf(place) {
      const route = { name: 'any', origin: { kind: 'default', name: '', path: '' } }
      return [made<Filter>({ kind: 'jwt' }, route, place)]
    },
    connectionFiltersOf(route, place) {
      return (route.filters ?? []).map((spec) => made<ConnectionFilter>(spec, route, place))
    },
  }
}

function uncounted<F>(filter: F): RouteFilter<F> {
  return { filter, verdicts: new Float64Array(3), at: 0 }
}
