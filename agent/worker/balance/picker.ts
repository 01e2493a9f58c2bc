/** What a policy is here: a picker over an immutable list of endpoints, replaced whole when the list changes. */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { PickContext } from './types.ts'

export interface Picker {
  /** Always answers one of the list it was made for; the list is never empty. Allocates nothing. */
  pick(context: PickContext): LiveEndpoint
}

/** What is the same for all pickers of one cluster. */
export interface PickerSettings {
  readonly warmupMs: number
  /** Whether an endpoint of the list is warming up: until then the pickers skip that arithmetic. */
  readonly isWarming: boolean
}

export function isTried(context: PickContext, state: LiveEndpoint): boolean {
  const tried = context.tried
  if (tried === null) return false
  for (let index = 0; index < tried.length; index++) if (tried[index] === state) return true
  return false
}

export function haveEqualWeights(states: readonly LiveEndpoint[]): boolean {
  const first = states[0]?.weight
  for (const state of states) if (state.weight !== first) return false
  return true
}
