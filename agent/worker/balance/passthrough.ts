/**
 * Passthrough: the address that the caller named, if it is an endpoint of the service.
 *
 * Why: the caller has chosen already (a sharded store, a leader). Health and ejection have no say, for nobody else
 * could answer for that address; only an endpoint that is disabled or has weight 0 is refused.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { PickContext } from './types.ts'

export function pickNamed(byId: ReadonlyMap<string, LiveEndpoint>, context: PickContext): LiveEndpoint | undefined {
  const state = byId.get(context.original)
  return state !== undefined && state.isEligible ? state : undefined
}
