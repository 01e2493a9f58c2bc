/** With which flags and environment Node runs the programs of a host. Benchmarks start theirs alike. */
import { fastCallsFlag } from '../native/bare-functions.ts'

/**
 * `node:ffi` is experimental in the Node that we bring along; decision 0006. SIGUSR1 must not open an inspector. A
 * process at rest collects its garbage itself (`native/idle-memory.ts`).
 */
export const nodeFlags = [
  '--disable-warning=ExperimentalWarning',
  '--disable-warning=DEP0111',
  '--disable-sigusr1',
  '--expose-gc',
]

/** Workers may keep their sockets themselves (decision 0035). */
export const workerFlags = [...nodeFlags, fastCallsFlag]

/**
 * Control has bursts and then idles: a small young generation keeps their garbage from staying resident (50 MB less
 * with 1,000 services, measured). So small, it is collected as fast by one thread, which then waits for no other to get
 * a processor. Control optimizes its code from when it is ready on (`agent/control/after-start.ts`).
 */
export const controlFlags = [
  ...nodeFlags,
  '--max-semi-space-size=2',
  '--no-parallel-scavenge',
  '--no-opt',
  '--no-maglev',
]

/**
 * Of the watchdog and every process below it: a heap of malloc's own for each thread of V8 stays resident, 1.6 MB
 * apiece. An operator's own value counts.
 */
export const hostEnvironment = { MALLOC_ARENA_MAX: '1' }
