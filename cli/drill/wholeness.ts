/** Whether a host is whole, and whole again behind a drill. */
import type { GenerationState, WatchdogState } from '../../contracts/handoff.ts'
import type { Drill } from './drill.ts'

export const servingOf = (state: WatchdogState): GenerationState | undefined =>
  state.generations.find((generation) => generation.phase === 'serving')

/** Whether the host is whole: one serving generation, its control ready and every worker accepting, nothing relayed. */
export function isWhole(state: WatchdogState): boolean {
  const serving = state.generations.filter((generation) => generation.phase === 'serving')
  const children = serving[0]?.children ?? []
  return (
    !state.relay.isRelaying &&
    serving.length === 1 &&
    children.some((child) => child.role === 'control') &&
    children.some((child) => child.role === 'worker') &&
    children.every((child) => (child.role === 'control' ? child.isReady : child.isServing))
  )
}

/** Whole again after a drill: as many processes as before, and none of those that it broke. */
export function isWholeAgain(drill: Drill, before: WatchdogState, after: WatchdogState): boolean {
  const count = (state: WatchdogState): number => servingOf(state)?.children.length ?? 0
  return isWhole(after) && count(after) >= count(before) && (drill.isReplaced?.(before, after) ?? true)
}
