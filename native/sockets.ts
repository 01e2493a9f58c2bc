/**
 * Making sockets of the internet and setting their options, for workers that keep them themselves. Rare beside reads
 * and writes, so through `node:ffi`'s own checks. Numbers: Linux, the same on x64 and arm64.
 */
import { getSystemErrorName } from 'node:util'
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { familyOf, socketAddressBytes } from './socket-address.ts'

/** SOCK_NONBLOCK | SOCK_CLOEXEC. */
const everySocket = 0o4000 | 0o2000000
/** SOL_SOCKET. */
export const socketLevel = 1

export abstract class Sockets {
  protected readonly libc: Libc
  protected readonly name = Buffer.alloc(socketAddressBytes)
  protected readonly nameLength = Buffer.alloc(4)
  protected readonly value = Buffer.alloc(8)
  protected readonly valueLength = Buffer.alloc(4)

  /** Throws where the calls are missing. */
  constructor() {
    const { libc, problem } = loadLibc()
    if (libc === undefined) throw new Error(problem)
    this.libc = libc
  }

  protected make(address: string, kind: number): number {
    const socket = this.libc.socket(familyOf(address), kind | everySocket, 0)
    if (socket < 0) throw systemError(socket, 'socket')
    return socket
  }

  protected set(socket: number, level: number, option: number, value: number): number {
    this.value.writeInt32LE(value, 0)
    return this.libc.setsockopt(socket, level, option, this.value, 4)
  }

  protected closing(socket: number, failure: number, what: string): Error {
    this.libc.close(socket)
    return systemError(failure, what)
  }
}

/** @param errno below 0 */
export function systemError(errno: number, what: string): Error {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`${what}: ${code}`), { code, errno })
}
