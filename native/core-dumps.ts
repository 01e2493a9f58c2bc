/**
 * Keeps private keys out of core files: a process that calls this, and every process that it starts, leaves none
 * (setrlimit(2), RLIMIT_CORE, for good). PR_SET_DUMPABLE would also close `/proc/PID/fd` to other processes of the same
 * user, where workers see whether a port is held by one of their own; see docs/security.md.
 */
import { libcOnce } from './libc.ts'

const coreSize = 4

/** False where the call is missing or refused: then the limit is what it was. */
export function forbidCoreDumps(): boolean {
  // two numbers of 8 bytes: the limit, and how far it may be raised again
  const limits = Buffer.alloc(16)
  const call = { setrlimit: { arguments: ['i32', 'buffer'], return: 'i32' } } as const
  return libcOnce(call, ({ setrlimit }) => setrlimit(coreSize, limits)) === 0
}
