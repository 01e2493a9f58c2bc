/**
 * Keeps private keys out of core files: a process that calls this, and every process that it starts, leaves none
 * (setrlimit(2), RLIMIT_CORE, for good). PR_SET_DUMPABLE would also close `/proc/PID/fd` to other processes of the same
 * user, where workers see whether a port is held by one of their own; see docs/security.md.
 */
const coreSize = 4

/** False where the call is missing or refused: then the limit is what it was. */
export function forbidCoreDumps(): boolean {
  try {
    // Loaded quietly by `loadNative` before.
    const ffi = process.getBuiltinModule('node:ffi')
    if (ffi === undefined) return false
    using library = ffi.dlopen('libc.so.6', { setrlimit: { arguments: ['i32', 'buffer'], return: 'i32' } })
    // two numbers of 8 bytes: the limit, and how far it may be raised again
    return library.functions.setrlimit(coreSize, Buffer.alloc(16)) === 0
  } catch {
    return false
  }
}
