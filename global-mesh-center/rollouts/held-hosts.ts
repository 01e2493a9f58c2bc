/** Hosts that roll-outs under way hold, for whoever begins another one. A host belongs to one at a time. */
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import { may, type ApiUser } from '../../agent/control/rules-api/api-user.ts'
import { rolloutName, type Rollout } from './rollout.ts'

/** Names of hosts that are said of each. */
const namesSaid = 5
/** At a time, of those whose token is not for all namespaces. */
const maxOfSome = 2

/** For people; empty = none is held. `able`: those that could take a roll-out. Pure. */
export function heldWords(running: readonly Rollout[], able: ReadonlySet<string>): string {
  const parts = running.flatMap((rollout) => {
    const held = rollout.hosts.filter((name) => able.has(name))
    if (held.length === 0) return []
    const more = held.length <= namesSaid ? '' : ` and ${held.length - namesSaid} more`
    const { namespace } = rollout.object.metadata
    return [
      `${rolloutName(rollout)} of ${namespace} by ${rollout.user} holds ${held.slice(0, namesSaid).join(', ')}${more}`,
    ]
  })
  return parts.join('; ')
}

/**
 * A token for some namespaces leaves room for the others: two roll-outs, and half of the hosts, whatever they are
 * observed for. Throws ApiError 429. `chosen`: hosts of the new one. Pure.
 */
export function leavesRoom(
  user: ApiUser,
  running: readonly Rollout[],
  chosen: readonly string[],
  able: ReadonlySet<string>,
): void {
  if (may(user, true, undefined)) return
  const own = running.filter(({ object }) => may(user, true, object.metadata.namespace))
  const words = 'a token for some namespaces leaves room for others'
  if (own.length >= maxOfSome)
    throw new ApiError(
      429,
      `${own.length} roll-outs of yours are under way, allowed ${maxOfSome}: ${words}; ${heldWords(own, able)}`,
    )
  const held = new Set([...chosen, ...own.flatMap(({ hosts }) => hosts.filter((name) => able.has(name)))])
  const most = Math.max(1, Math.floor(able.size / 2))
  if (held.size > most)
    throw new ApiError(
      429,
      `spec.hosts: ${held.size} hosts with those of your other roll-outs, allowed ${most}, half of all: ${words}`,
    )
}
