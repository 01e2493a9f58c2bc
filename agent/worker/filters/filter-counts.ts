import type { FilterCounts } from './filter.ts'

/** Counts from zero. */
export function noFilterCounts(): FilterCounts {
  return {
    faultDelays: 0,
    faultAborts: 0,
    preflights: 0,
    redirects: 0,
    directResponses: 0,
    rateLimited: 0,
    forgottenCallers: 0,
  }
}
