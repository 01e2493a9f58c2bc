import type { WorkerLoad } from '../../../contracts/handoff.ts'

/** No worker is busier than the mean by more than this share of it, as long as its connections can move. */
export const allowedExcess = 0.05
/** A worker gives at most so many connections at a time. */
export const maxGifts = 128

export interface Gift {
  /** Index of the worker that gets them. */
  readonly to: number
  readonly count: number
}

/**
 * What the worker `own` gives away, so that all are equally busy. Every worker decides by the same numbers, so that two
 * that give do not overfill a third. Whoever is above the mean by more than `allowedExcess` gives what it has above the
 * mean, connection by connection to whoever has the least; nobody gives so that the order is only turned round.
 */
export function giftsOf(own: number, loads: readonly WorkerLoad[]): Gift[] {
  const mean = loads.reduce((sum, { active }) => sum + active, 0) / loads.length
  const active = new Map(loads.map((load) => [load.index, load.active]))
  const gifts = new Map<number, number>()
  for (const { index, active: before } of loads) {
    const excess = before > mean * (1 + allowedExcess) ? Math.floor(before - mean) : 0
    for (let left = Math.min(excess, maxGifts); left > 0; left--) {
      const least = leastBusy(active)
      active.set(index, active.get(index)! - 1)
      active.set(least, active.get(least)! + 1)
      if (index === own) gifts.set(least, (gifts.get(least) ?? 0) + 1)
    }
  }
  return [...gifts].map(([to, count]) => ({ to, count }))
}

function leastBusy(active: ReadonlyMap<number, number>): number {
  let least = -1
  let fewest = Infinity
  for (const [index, count] of active) {
    if (count >= fewest) continue
    least = index
    fewest = count
  }
  return least
}
