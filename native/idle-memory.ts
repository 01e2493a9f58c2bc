/**
 * Memory that a process holds and does not use. The collector is called where the process was started with
 * `--expose-gc`.
 */
import { trimAllocator } from './allocator.ts'
import { releaseStartupPages } from './startup-pages.ts'

/**
 * For a process at rest: garbage that nothing collects any more, because an idle process does not allocate; free pieces
 * in the heaps of the C library; and then pages of program files. Blocks for some 20 ms, so it is for a moment in which
 * nothing is under way.
 */
export function releaseIdleMemory(): void {
  globalThis.gc?.()
  trimAllocator()
  releaseStartupPages()
}

/** Beyond it (a large snapshot) it takes too long for what it gives back. */
const mostToCompact = 24 * 1024 * 1024

/**
 * For a process that has started and carries nothing yet: what a start makes on the way lies scattered over most pages
 * of the heap, so what stays is moved together. Blocks for some 20 ms; does nothing with more than 24 MiB in the heap.
 */
export function compactAfterStart(): void {
  if (process.memoryUsage().heapUsed > mostToCompact) return
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
