/** What a control that is ready does for itself: it optimizes its code, and gives back what its start left behind. */
import { setFlagsFromString } from 'node:v8'
import { trimAllocator } from '../../native/allocator.ts'
import { releaseStartupPages } from '../../native/startup-pages.ts'
import type { Clock } from './clock.ts'
import { keepMemoryAtRest } from './resting-memory.ts'

/**
 * The workers have their snapshot and the registries have answered: what only the start needed is not needed any more.
 */
const settleAfterMs = 2000

/** To be called once, when control is ready. */
export function settleDown(clock: Clock): void {
  setTimeout(settle, settleAfterMs).unref()
  keepMemoryAtRest({
    clock,
    resident: () => process.memoryUsage.rss(),
    heap: () => {
      const { heapUsed, heapTotal } = process.memoryUsage()
      return { used: heapUsed, total: heapTotal }
    },
    collect,
  })
}

/**
 * `hostmesh` starts control without the optimizing compilers: they would only work on code that runs once, and their
 * own code would stay resident (13 MiB).
 */
function settle(): void {
  for (const flag of ['--opt', '--maglev']) setFlagsFromString(flag)
  releaseStartupPages()
}

/** `hostmesh` starts control with `--expose-gc`; without it there is nothing to call. */
function collect(how: 'thorough' | 'plain'): void {
  if (how === 'plain') globalThis.gc?.()
  else globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  trimAllocator()
}
