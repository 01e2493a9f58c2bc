/**
 * Programs on a system that forbids something. Run as `node confined.ts WHAT PROGRAM WORD…`, which becomes that
 * program: a seccomp filter and prctl(2) go through execve(2). x64.
 */
import { fileURLToPath } from 'node:url'

/** `refuse`: the call fails with EPERM. `kill`: the process ends by SIGSYS. */
export type Confinement = `${'refuse' | 'kill'}-${keyof typeof numbers}` | 'no-new-machine-code'

const numbers = { send: 44, recv: 45, accept: 288, 'epoll-wait': 232 } as const
/** PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_MDWE. */
const [noNewPrivileges, setSeccomp, denyWriteExecute] = [38, 22, 65]
const filterMode = 2n
const [allow, errnoEperm, killProcess] = [0x7fff_0000, 0x0005_0001, 0x8000_0000]

export function confined(how: Confinement, command: readonly string[]): string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), how, ...command]
}

function confine(how: string): void {
  const { functions, lib } = process.getBuiltinModule('node:ffi').dlopen('libc.so.6', {
    prctl: { arguments: ['i32', 'u64', 'u64', 'u64', 'u64'], return: 'i32' },
  })
  const check = (result: number): void => {
    if (result !== 0) throw new Error(`prctl: ${how}`)
  }
  void lib
  check(functions.prctl(noNewPrivileges, 1n, 0n, 0n, 0n))
  if (how === 'no-new-machine-code') return check(functions.prctl(denyWriteExecute, 1n, 0n, 0n, 0n))
  const [verb, name] = [how.slice(0, how.indexOf('-')), how.slice(how.indexOf('-') + 1)]
  const number = numbers[name as keyof typeof numbers]
  // struct sock_filter: code, jt, jf, k. Loads the number of the call, compares, answers.
  const instructions = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, verb === 'kill' ? killProcess : errnoEperm],
    [0x06, 0, 0, allow],
  ]
  const filter = Buffer.alloc(8 * instructions.length)
  for (const [index, [code = 0, yes = 0, no = 0, value = 0]] of instructions.entries()) {
    filter.writeUInt16LE(code, index * 8)
    filter[index * 8 + 2] = yes
    filter[index * 8 + 3] = no
    filter.writeUInt32LE(value >>> 0, index * 8 + 4)
  }
  const { getRawPointer } = process.getBuiltinModule('node:ffi')
  const program = Buffer.alloc(16)
  program.writeUInt16LE(instructions.length, 0)
  program.writeBigUInt64LE(getRawPointer(filter), 8)
  check(functions.prctl(setSeccomp, filterMode, getRawPointer(program), 0n, 0n))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [how = '', program = '', ...words] = process.argv.slice(2)
  confine(how)
  process.execve?.(program, [program, ...words], process.env)
}
