/**
 * Gives back to the system what a process at rest holds and does not use: garbage that nothing collects any more,
 * because an idle process does not allocate; free pieces in the heaps of the C library; and then pages of program
 * files. Blocks for some 20 ms, so it is for a moment in which nothing is under way.
 *
 * The collector is called where the process was started with `--expose-gc`.
 */
import { trimAllocator } from './allocator.ts'
import { releaseStartupPages } from './startup-pages.ts'

export function releaseIdleMemory(): void {
  globalThis.gc?.()
  trimAllocator()
  releaseStartupPages()
}
