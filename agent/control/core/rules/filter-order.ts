import type { FilterSpec } from '../../../../contracts/route-spec.ts'

/**
 * The one place that decides in which order the filters of a route run, whichever resources they come from. A
 * preflight carries no credentials and is answered before anything counts it; who calls is known before it is judged;
 * who may not call, by a filter of a user too, learns nothing of faults and takes no token of a limit; faults come
 * before limits, so that a request that is to fail takes no token. What a route's action answers stands behind all of
 * them.
 */
const order: readonly FilterSpec['kind'][] = [
  'cors',
  'jwt',
  'ext-authz',
  'authorization',
  'user',
  'fault-delay',
  'fault-abort',
  'rate-limit',
  'global-rate-limit',
]

/** Filters of one kind stay as they stand. */
function inOrder<F extends FilterSpec>(filters: readonly F[]): F[] {
  return filters.toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind))
}

/** As a field of a route: absent when there are none. */
export function filterField<F extends FilterSpec>(filters: readonly F[]): { readonly filters?: readonly F[] } {
  return filters.length === 0 ? {} : { filters: inOrder(filters) }
}
