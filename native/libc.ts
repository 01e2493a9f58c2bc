/**
 * The few calls of the C library that Node lacks, through `node:ffi`. Nothing outside this folder sees an address or an
 * errno number.
 *
 * A call that failed answers -errno, as the kernel does. The number lies in memory of this thread and is read in the
 * very function that called, before anything else is called, entered or allocated: the runtime makes system calls of
 * its own whenever it gets the chance, and they would overwrite it.
 *
 * `loadLibc` answers a reason instead of throwing: without it the mesh runs, but without handover of descriptors.
 * Struct layouts are those of 64-bit little-endian Linux (x64, arm64); other machines get the reason.
 */
import { endianness } from 'node:os'
// Before node:ffi is loaded: what it takes is gone afterwards.
import './bare-functions.ts'
import type * as Ffi from 'node:ffi'
import { quietly } from './quietly.ts'

/** Every call: below 0 = failed, with -errno. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(descriptor: number, address: Buffer, length: number): number
  sendmsg(descriptor: number, message: Buffer, flags: number): number
  recvmsg(descriptor: number, message: Buffer, flags: number): number
  close(descriptor: number): number
  fcntl(descriptor: number, command: number, argument: number): number
  /** With a request whose argument is the address of `value`. */
  ioctl(descriptor: number, request: bigint, value: Buffer): number
  getsockopt(descriptor: number, level: number, option: number, value: Buffer, length: Buffer): number
  setsockopt(descriptor: number, level: number, option: number, value: Buffer, length: number): number
  getsockname(descriptor: number, address: Buffer, length: Buffer): number
  getpeername(descriptor: number, address: Buffer, length: Buffer): number
  listen(descriptor: number, backlog: number): number
  connect(descriptor: number, address: Buffer, length: number): number
  shutdown(descriptor: number, how: number): number
  flock(descriptor: number, operation: number): number
  /** Writes two descriptors of 4 bytes each to `ends`: to read from, to write to. */
  pipe2(ends: Buffer, flags: number): number
  socketpair(domain: number, type: number, protocol: number, ends: Buffer): number
  /** Without offsets: sockets and pipes have none. `length` below 2 GiB. */
  splice(from: number, to: number, length: number, flags: number): number
  addressOf(memory: Buffer): bigint
}

export type LibcOutcome =
  { readonly libc: Libc; readonly problem: undefined } | { readonly libc: undefined; readonly problem: string }

export function loadLibc(): LibcOutcome {
  if (process.platform !== 'linux') return { libc: undefined, problem: `needs linux, found ${process.platform}` }
  if ((process.arch !== 'x64' && process.arch !== 'arm64') || endianness() !== 'LE') {
    return { libc: undefined, problem: `needs x64 or arm64, found ${process.arch}` }
  }
  try {
    const ffi = quietly(() => process.getBuiltinModule('node:ffi'))
    if (ffi === undefined) return { libc: undefined, problem: `node ${process.version} has no node:ffi` }
    const { functions: call } = ffi.dlopen('libc.so.6', {
      socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      sendmsg: { arguments: ['i32', 'buffer', 'i32'], return: 'i64' },
      recvmsg: { arguments: ['i32', 'buffer', 'i32'], return: 'i64' },
      close: { arguments: ['i32'], return: 'i32' },
      fcntl: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      ioctl: { arguments: ['i32', 'u64', 'buffer'], return: 'i32' },
      getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
      setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
      getsockname: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
      getpeername: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
      listen: { arguments: ['i32', 'i32'], return: 'i32' },
      connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      shutdown: { arguments: ['i32', 'i32'], return: 'i32' },
      flock: { arguments: ['i32', 'i32'], return: 'i32' },
      pipe2: { arguments: ['buffer', 'i32'], return: 'i32' },
      socketpair: { arguments: ['i32', 'i32', 'i32', 'buffer'], return: 'i32' },
      splice: { arguments: ['i32', 'u64', 'i32', 'u64', 'u64', 'u32'], return: 'i32' },
      __errno_location: { arguments: [], return: 'pointer' },
    })
    const failure = new Int32Array(ffi.toArrayBuffer(call.__errno_location(), 4, false))
    const libc: Libc = {
      socket(domain, type, protocol) {
        const result = call.socket(domain, type, protocol)
        return result < 0 ? -failure[0]! : result
      },
      bind(descriptor, address, length) {
        const result = call.bind(descriptor, address, length)
        return result < 0 ? -failure[0]! : result
      },
      sendmsg(descriptor, message, flags) {
        const result = Number(call.sendmsg(descriptor, message, flags))
        return result < 0 ? -failure[0]! : result
      },
      recvmsg(descriptor, message, flags) {
        const result = Number(call.recvmsg(descriptor, message, flags))
        return result < 0 ? -failure[0]! : result
      },
      close(descriptor) {
        const result = call.close(descriptor)
        return result < 0 ? -failure[0]! : result
      },
      fcntl(descriptor, command, argument) {
        const result = call.fcntl(descriptor, command, argument)
        return result < 0 ? -failure[0]! : result
      },
      ioctl(descriptor, request, value) {
        const result = call.ioctl(descriptor, request, value)
        return result < 0 ? -failure[0]! : result
      },
      getsockopt(descriptor, level, option, value, length) {
        const result = call.getsockopt(descriptor, level, option, value, length)
        return result < 0 ? -failure[0]! : result
      },
      setsockopt(descriptor, level, option, value, length) {
        const result = call.setsockopt(descriptor, level, option, value, length)
        return result < 0 ? -failure[0]! : result
      },
      getsockname(descriptor, address, length) {
        const result = call.getsockname(descriptor, address, length)
        return result < 0 ? -failure[0]! : result
      },
      getpeername(descriptor, address, length) {
        const result = call.getpeername(descriptor, address, length)
        return result < 0 ? -failure[0]! : result
      },
      listen(descriptor, backlog) {
        const result = call.listen(descriptor, backlog)
        return result < 0 ? -failure[0]! : result
      },
      connect(descriptor, address, length) {
        const result = call.connect(descriptor, address, length)
        return result < 0 ? -failure[0]! : result
      },
      shutdown(descriptor, how) {
        const result = call.shutdown(descriptor, how)
        return result < 0 ? -failure[0]! : result
      },
      flock(descriptor, operation) {
        const result = call.flock(descriptor, operation)
        return result < 0 ? -failure[0]! : result
      },
      pipe2(ends, flags) {
        const result = call.pipe2(ends, flags)
        return result < 0 ? -failure[0]! : result
      },
      socketpair(domain, type, protocol, ends) {
        const result = call.socketpair(domain, type, protocol, ends)
        return result < 0 ? -failure[0]! : result
      },
      splice(from, to, length, flags) {
        const result = call.splice(from, 0n, to, 0n, BigInt(length), flags)
        return result < 0 ? -failure[0]! : result
      },
      addressOf: (memory) => ffi.getRawPointer(memory),
    }
    return { libc, problem: undefined }
  } catch (error) {
    return { libc: undefined, problem: error instanceof Error ? error.message : String(error) }
  }
}

/** Names of the error numbers that we tell apart; the same on x64 and arm64. */
export function errnoName(number: number): string {
  const names: Readonly<Record<number, string>> = {
    1: 'EPERM',
    2: 'ENOENT',
    4: 'EINTR',
    9: 'EBADF',
    11: 'EAGAIN',
    12: 'ENOMEM',
    13: 'EACCES',
    22: 'EINVAL',
    24: 'EMFILE',
    23: 'ENFILE',
    90: 'EMSGSIZE',
    98: 'EADDRINUSE',
    104: 'ECONNRESET',
    105: 'ENOBUFS',
    107: 'ENOTCONN',
    109: 'ETOOMANYREFS',
    111: 'ECONNREFUSED',
  }
  return names[number] ?? `errno ${number}`
}

/**
 * A call that is made once or seldom, and can be done without; after `loadLibc`, which loads `node:ffi` quietly.
 * undefined = the library or the function is missing, or `use` threw.
 */
export function libcOnce<const T extends Ffi.FunctionDefinitions, R>(
  functions: T,
  use: (called: Ffi.DynamicLibraryResult<T>['functions']) => R,
): R | undefined {
  try {
    const ffi = process.getBuiltinModule('node:ffi')
    if (ffi === undefined) return undefined
    using library = ffi.dlopen('libc.so.6', functions)
    return use(library.functions)
  } catch {
    return undefined
  }
}
