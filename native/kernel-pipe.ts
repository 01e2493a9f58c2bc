/**
 * Moves bytes from one socket to another inside the kernel (splice(2)), which Node has no call for. The pipe between
 * them is empty after every move, so one serves all connections of a process.
 */
import { constants, readSync, writeSync } from 'node:fs'
import { constants as system } from 'node:os'
import type { FastCalls } from './fast-calls.ts'
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { unixFamily } from './socket-address.ts'

/** SPLICE_F_MOVE and SPLICE_F_NONBLOCK. */
const moveFlags = 1 | 2
const { EAGAIN } = system.errno
const closeOnExec = 0o2000000
/** F_SETPIPE_SZ and F_GETPIPE_SZ. */
const setPipeSize = 1031
const getPipeSize = 1032
const streamType = 1

/** What `take` answers besides a number of bytes. */
export const nothingToTake = -1
export const takeFailed = -2

/**
 * Never blocks. After `take` brought bytes, they go out by `give`, and what that left by `rest`, before the next
 * `take`.
 */
export interface BytePipe {
  /** Most bytes of one `take`. */
  readonly capacity: number
  /**
   * Bytes taken from the socket; 0 at its end, `nothingToTake` when there are none now, `takeFailed` when it is broken.
   */
  take(socket: number, atMost: number): number
  /** Bytes that the socket took, 0 also where it is broken: a write says why. */
  give(socket: number, count: number): number
  /** The last `count` bytes that were taken and not given. */
  rest(count: number): Buffer
  close(): void
}

type SpliceCalls = Pick<FastCalls, 'splice'>

export class KernelPipe implements BytePipe {
  readonly capacity: number
  private readonly libc: Libc
  private readonly calls: SpliceCalls
  private readonly readEnd: number
  private readonly writeEnd: number

  /**
   * As large as the system allows, up to `wanted` bytes. undefined where the system does not offer it, which is tried
   * out on a pair of sockets. `fast`: calls without a wrapper, where a process has them.
   */
  static open(wanted: number, fast?: SpliceCalls): KernelPipe | undefined {
    const { libc } = loadLibc()
    if (libc === undefined) return undefined
    const ends = Buffer.alloc(8)
    if (libc.pipe2(ends, constants.O_NONBLOCK | closeOnExec) !== 0) return undefined
    const pipe = new KernelPipe(
      libc,
      fast ?? { splice: (from, to, length) => libc.splice(from, to, length, moveFlags) },
      ends,
      wanted,
    )
    if (pipe.works()) return pipe
    pipe.close()
    return undefined
  }

  private constructor(libc: Libc, calls: SpliceCalls, ends: Buffer, wanted: number) {
    this.libc = libc
    this.calls = calls
    this.readEnd = ends.readInt32LE(0)
    this.writeEnd = ends.readInt32LE(4)
    libc.fcntl(this.writeEnd, setPipeSize, wanted)
    this.capacity = Math.min(wanted, libc.fcntl(this.writeEnd, getPipeSize, 0))
  }

  take(socket: number, atMost: number): number {
    const taken = this.calls.splice(socket, this.writeEnd, atMost)
    if (taken >= 0) return taken
    return taken === -EAGAIN ? nothingToTake : takeFailed
  }

  give(socket: number, count: number): number {
    return Math.max(0, this.calls.splice(this.readEnd, socket, count))
  }

  rest(count: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(count)
    for (let at = 0; at < count;) at += readSync(this.readEnd, bytes, at, count - at, null)
    return bytes
  }

  close(): void {
    this.libc.close(this.readEnd)
    this.libc.close(this.writeEnd)
  }

  private works(): boolean {
    const { libc } = this
    const ends = Buffer.alloc(8)
    if (libc.socketpair(unixFamily, streamType | closeOnExec | constants.O_NONBLOCK, 0, ends) !== 0) return false
    const [near, far] = [ends.readInt32LE(0), ends.readInt32LE(4)]
    const isEmpty = this.take(near, 1) === nothingToTake
    const sent = Buffer.from('x')
    const works = isEmpty && this.passes(near, far, sent)
    libc.close(near)
    libc.close(far)
    return works
  }

  private passes(near: number, far: number, sent: Buffer): boolean {
    return (
      writeSync(near, sent) === 1 && this.take(far, 8) === 1 && this.give(far, 1) === 1 && readSync(near, sent) === 1
    )
  }
}
