/**
 * How much of the traffic each locality group gets, and when unusable endpoints are used after all (panic mode).
 *
 * Why: the few survivors of a half-dead group must not get the traffic of all; and where nearly nothing is left,
 * spreading over everybody loses fewer requests than crushing the rest, and forgives a health opinion that is wrong
 * (Envoy: panic threshold). When it trips: a group whose usable share is at least `panicShare` can carry its whole
 * traffic. Below, it carries usable share / panicShare of it and the rest spills to the next level (or, with shares, to
 * the other groups). Only when all groups together cannot carry the traffic, the groups below `panicShare` use all
 * their endpoints, unusable ones too; disabled ones and those of weight 0 never. Recovery: at once, with each change of
 * an endpoint's state. `panicShare` 0 switches panic mode off: then a group carries everything while one endpoint is
 * usable.
 */
import type { LocalityPlan } from './locality.ts'

export interface Load {
  /** Share of the traffic, 0..1; all loads add up to 1, or are all 0 when nothing may be used. */
  load: number
  isPanicking: boolean
}

/** `eligible` and `usable` count the endpoints of each group of the plan, in its order. */
export function shareOut(
  plan: LocalityPlan,
  eligible: readonly number[],
  usable: readonly number[],
  panicShare: number,
): Load[] {
  const capacities = plan.groups.map((_group, index) => {
    if (usable[index] === 0) return 0
    return panicShare > 0 ? Math.min(1, usable[index]! / eligible[index]! / panicShare) : 1
  })
  const wanted = plan.groups.map((group, index) => {
    if (eligible[index] === 0) return 0
    return plan.kind === 'shares' ? group.share : 1
  })
  const carried = capacities.map((capacity, index) => capacity * wanted[index]!)
  const isEnough =
    plan.kind === 'levels' ? sum(carried) >= 1 - 1e-9 : sum(usable) / Math.max(1, sum(eligible)) >= panicShare
  const mayPanic = panicShare > 0 && !isEnough
  let loads = plan.kind === 'levels' && isEnough ? fillInOrder(carried) : normalise(carried)
  if (sum(carried) === 0 && mayPanic) {
    loads = plan.kind === 'shares' ? normalise(wanted) : firstOnly(wanted)
  }
  return loads.map((load, index) => ({
    load,
    isPanicking: mayPanic && load > 0 && usable[index]! / eligible[index]! < panicShare,
  }))
}

function fillInOrder(carried: readonly number[]): number[] {
  let left = 1
  return carried.map((capacity) => {
    const load = Math.min(left, capacity)
    left -= load
    return load < 1e-9 ? 0 : load
  })
}

function normalise(shares: readonly number[]): number[] {
  const total = sum(shares)
  return shares.map((share) => (total === 0 ? 0 : share / total))
}

function firstOnly(wanted: readonly number[]): number[] {
  const first = wanted.findIndex((share) => share > 0)
  return wanted.map((_share, index) => (index === first ? 1 : 0))
}

function sum(values: readonly number[]): number {
  let total = 0
  for (const value of values) total += value
  return total
}
