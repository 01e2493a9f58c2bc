/** The pick when the first one will not do: it was tried already, or took no connection a moment ago. */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Group } from './group.ts'
import { isTried } from './picker.ts'
import type { PickContext } from './types.ts'

/** Redraws before the endpoints are looked through one by one. */
const redraws = 4

/**
 * Draws again, then looks through its group, then through the others in their order, those of held endpoints last.
 * Where all that were not tried refused lately, the policy's own choice stands if it is one of them; where all were
 * tried, `unwanted` is the answer.
 */
export function pickAnother(
  context: PickContext,
  group: Group,
  unwanted: LiveEndpoint,
  groups: readonly Group[],
  heldGroups: readonly Group[],
): LiveEndpoint {
  for (let draws = 0; draws < redraws; draws++) {
    const state = group.picker!.pick(context)
    if (state.avoidUntil <= context.now && !isTried(context, state)) return state
  }
  const state = findIn(context, group, groups, heldGroups, context.now)
  if (state !== undefined) return state
  if (!isTried(context, unwanted)) return unwanted
  return findIn(context, group, groups, heldGroups, Number.POSITIVE_INFINITY) ?? unwanted
}

/** Only those that may be used again at `now`. */
function findIn(
  context: PickContext,
  first: Group,
  groups: readonly Group[],
  heldGroups: readonly Group[],
  now: number,
): LiveEndpoint | undefined {
  const inFirst = findUntried(context, first.pickable, now)
  if (inFirst !== undefined) return inFirst
  for (const others of [groups, heldGroups])
    for (const group of others) {
      const state = group === first ? undefined : findUntried(context, group.pickable, now)
      if (state !== undefined) return state
    }
  return undefined
}

function findUntried(context: PickContext, states: readonly LiveEndpoint[], now: number): LiveEndpoint | undefined {
  const start = Math.floor(context.random() * states.length)
  for (let step = 0; step < states.length; step++) {
    const state = states[(start + step) % states.length]!
    if (state.avoidUntil <= now && !isTried(context, state)) return state
  }
  return undefined
}
