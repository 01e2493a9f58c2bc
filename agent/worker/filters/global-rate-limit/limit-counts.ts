/** What became of requests with a shared limit: `hostmesh_ratelimit_total{provider,result}`. Types alone. */
import type { NamedTallies } from '../named-tallies.ts'

export type LimitResult =
  | 'ok'
  | 'over_limit'
  | 'error'
  | 'timeout'
  | 'local_ok'
  | 'local_over_limit'
  | 'failure_mode_allowed'
  | 'failure_mode_denied'

export type LimitCounts = NamedTallies<LimitResult>
