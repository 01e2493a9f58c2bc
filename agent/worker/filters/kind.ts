import type { HttpRouteSpec } from '../../../contracts/route-spec.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { Filter, FilterCounts } from './filter.ts'

/** One kind of filter: what of a route's rules becomes filters of this kind. */
export interface FilterKind<F extends Filter = Filter> {
  /** Shown by metrics and `explain`: lower case with dashes. */
  readonly kind: string
  /** None for a route that asks for none. */
  make(place: FilterPlace<F>): readonly F[]
}

export interface FilterPlace<F extends Filter> {
  /** Name of the virtual host. */
  readonly host: string
  readonly route: HttpRouteSpec
  /** What the route does to replies. */
  readonly responseEdits: HeaderEdits | null
  /** Monotonic ms. */
  readonly now: number
  /** This worker's part of every local rate limit: 1 / number of workers. */
  readonly limitShare: number
  readonly counts: FilterCounts
  /** The filter of this kind and state id that this one replaces. */
  former(stateId: string): F | undefined
}
