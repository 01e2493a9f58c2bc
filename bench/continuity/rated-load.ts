/**
 * New connections at a fixed rate, one request each, for measuring what callers lose and how long they wait around one
 * event.
 */
import { KeepAliveCaller } from '../../test/support/continuity/callers.ts'

const tickMs = 10
/** Calls under way at the same time; beyond it the rate is not kept, and that is printed. */
const maxParallel = 500

export interface CallRecord {
  readonly startedAt: number
  readonly ms: number
  /** `agent` when the answer names no tier, undefined when there was none. */
  readonly tier: string | undefined
  readonly failure: string | undefined
}

export interface RatedLoad {
  readonly records: CallRecord[]
  readonly skipped: () => number
  readonly inFlight: () => number
  stop(): Promise<void>
}

export function ratedLoad(port: number, perSecond: number): RatedLoad {
  const records: CallRecord[] = []
  const open = new Set<Promise<void>>()
  let owed = 0
  let skipped = 0
  let last = performance.now()
  const call = async (): Promise<void> => {
    const startedAt = performance.now()
    try {
      const caller = await KeepAliveCaller.connect(port)
      try {
        const answer = await caller.get()
        const tier = /^x-mesh-tier: (\S+)/im.exec(answer.head)?.[1] ?? 'agent'
        const failure = answer.status === 200 ? undefined : `status ${answer.status}`
        records.push({ startedAt, ms: performance.now() - startedAt, tier, failure })
      } finally {
        caller.close()
      }
    } catch (error) {
      const failure = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      records.push({ startedAt, ms: performance.now() - startedAt, tier: undefined, failure })
    }
  }
  const timer = setInterval(() => {
    const now = performance.now()
    owed += ((now - last) / 1000) * perSecond
    last = now
    while (owed >= 1) {
      owed--
      if (open.size >= maxParallel) {
        skipped++
        continue
      }
      const one: Promise<void> = call().finally(() => open.delete(one))
      open.add(one)
    }
  }, tickMs)
  return {
    records,
    skipped: () => skipped,
    inFlight: () => open.size,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(open)
    },
  }
}

export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}
