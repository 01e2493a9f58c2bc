/**
 * What bursts leave behind in control: the heap grew for the start, or for a registry that was read anew, and a process
 * that idles allocates too little to collect by itself. Collected once when the start is over, and again whenever the
 * process has grown by much since, so seldom that nobody is kept waiting.
 */
import type { Clock } from '../../contracts/clock.ts'

export interface RestingMemoryDeps {
  readonly clock: Pick<Clock, 'monotonic' | 'after'>
  /** Resident bytes of the process. */
  readonly resident: () => number
  /** Bytes of the heap: in use, and in all. */
  readonly heap: () => { readonly used: number; readonly total: number }
  /**
   * Stops the process while it works: `thorough` also gives back what is half empty, and takes some times as long
   * (0.1 against 0.4 s for 24 MB, measured on a busy machine).
   */
  readonly collect: (how: 'thorough' | 'plain') => void
}

/** By now the first snapshots are on disk, too, which is the last big thing that a start does. */
export const startIsOverMs = 30_000
/** Between two looks. */
export const lookMs = 60_000
/** Between two collections. */
export const restMs = 600_000
/** Growth since the last collection that is worth one. */
export const growthBytes = 32 * 1024 * 1024
/** A larger heap is collected plainly, so that the pause stays short. */
export const thoroughBytes = 64 * 1024 * 1024

/** Less room than this in the heap is not worth a longer pause. */
export const roomBytes = 16 * 1024 * 1024

/** Answers how to end it. */
export function keepMemoryAtRest(deps: RestingMemoryDeps): () => void {
  const { clock, resident, heap, collect } = deps
  let collectedAt = 0
  let floor = 0
  let cancel = (): void => undefined
  const look = (): void => {
    cancel = clock.after(lookMs, look)
    const now = clock.monotonic()
    const isDue = floor === 0 || (now - collectedAt >= restMs && resident() - floor >= growthBytes)
    if (!isDue) return
    const { used, total } = heap()
    collect(used <= thoroughBytes && total - used >= roomBytes ? 'thorough' : 'plain')
    collectedAt = now
    floor = resident()
  }
  cancel = clock.after(startIsOverMs, look)
  return () => cancel()
}
