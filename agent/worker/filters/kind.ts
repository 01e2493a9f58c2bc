import type { AuthenticationSpec } from '../../../contracts/authentication-spec.ts'
import type { AuthorizationSpec } from '../../../contracts/authorization-spec.ts'
import type { HttpActionSpec, FilterSpec, RuleOrigin } from '../../../contracts/route-spec.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { ConnectionFilter, Filter, FilterCounts } from './filter.ts'

/** What a filter is made of: an entry of a route's list, or an action that answers. */
export type MadeOf = FilterSpec | Exclude<HttpActionSpec, { readonly kind: 'forward' }>

/** One kind of filter: how it is made. `kind` is that of its entry in the snapshot. */
export interface FilterKind<
  S extends { readonly kind: string } = { readonly kind: string },
  F extends Filter | ConnectionFilter = Filter | ConnectionFilter,
> {
  readonly kind: S['kind']
  make(spec: S, place: FilterPlace<F>): F
}

export interface FilterPlace<F = Filter | ConnectionFilter> {
  /** Name of the virtual host. */
  readonly host: string
  /** Name and origin of the route. */
  readonly route: { readonly name: string; readonly origin: RuleOrigin }
  /** The rules of the virtual host about tokens, where it has some. */
  readonly authentication: AuthenticationSpec | undefined
  /** The policies of the virtual host, where it has some. */
  readonly authorization: AuthorizationSpec | undefined
  /** What the route does to replies. */
  readonly responseEdits: HeaderEdits | null
  /** Monotonic ms. */
  readonly now: number
  /** This worker's part of every local rate limit: 1 / number of workers. */
  readonly limitShare: number
  readonly counts: FilterCounts
  /** The filter of the same kind with this state id that this one replaces. */
  former(stateId: string): F | undefined
}
