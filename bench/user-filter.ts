import type { UserFilterSpec } from '../contracts/user-filter-spec.ts'

/** One filter of a user as control would give it to a worker, with the usual bounds. */
export function userFilter(
  given: Pick<UserFilterSpec, 'name' | 'settings'> & Pick<Partial<UserFilterSpec>, 'builtin' | 'path'>,
): UserFilterSpec {
  return { directory: '/', deadlineMs: 1000, failOpen: false, maxFailures: 10, offMs: 60_000, ...given }
}
