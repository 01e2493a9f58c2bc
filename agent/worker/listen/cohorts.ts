import type { Transport } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Movable, MovedCohort } from './movable.ts'

/** Connections that leave together with the requests that run over them; a protocol implements it. */
export interface Cohorts {
  /** Those that can leave now. */
  list(): Movable[]
  /**
   * Goes on with one of another process. The transports, of callers first, are its own from here on, also on failure.
   * Errors: E_HANDOFF_REFUSED for a malformed state, and where a destination or endpoint is not known here.
   */
  adopt(moved: MovedCohort, accepted: readonly Accepted[], transports: readonly Transport[]): Movable
}
