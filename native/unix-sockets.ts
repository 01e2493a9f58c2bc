/**
 * Listening unix sockets by path, and who is at the other end of what they accept. Layouts: linux/un.h, unix(7),
 * little-endian.
 */
import { chmodSync, lchownSync, lstatSync, unlinkSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { maxSocketPathBytes, unixFamily } from './socket-address.ts'

/** SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC. */
const streamSocket = 1 | 0o4000 | 0o2000000
/** SOL_SOCKET, SO_PEERCRED. */
const [socketLevel, peerCredentials] = [1, 17]

/** Who may connect. */
export interface SocketAccess {
  /** Permission bits, 0o660. */
  readonly mode: number
  /** Absent: as the process made it. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
}

/** Errors are thrown with the system's name as `code`. */
export class UnixSockets {
  private readonly libc: Libc
  private readonly value = Buffer.alloc(12)
  private readonly valueLength = Buffer.alloc(4)

  /** undefined where the system's calls are missing. */
  static open(): UnixSockets | undefined {
    const { libc } = loadLibc()
    return libc === undefined ? undefined : new UnixSockets(libc)
  }

  private constructor(libc: Libc) {
    this.libc = libc
  }

  /**
   * A listening socket at `path`, an absolute one. What a process left behind there gives way; EADDRINUSE for a socket
   * at which somebody listens, and for a file of another kind. Nobody can connect before `access` holds.
   */
  listener(path: string, access: SocketAccess, backlog: number): number {
    const address = addressOf(path)
    this.removeStale(path, address)
    const socket = this.make()
    try {
      this.demand(this.libc.bind(socket, address, address.length), `bind ${path}`)
      setAccess(path, access)
      this.demand(this.libc.listen(socket, backlog), `listen ${path}`)
      return socket
    } catch (error) {
      this.libc.close(socket)
      throw error
    }
  }

  /** User id at the other end of a connected socket; undefined when the kernel does not tell. */
  peerUid(descriptor: number): number | undefined {
    this.valueLength.writeUInt32LE(this.value.length, 0)
    const failure = this.libc.getsockopt(descriptor, socketLevel, peerCredentials, this.value, this.valueLength)
    return failure === 0 && this.valueLength.readUInt32LE(0) === 12 ? this.value.readUInt32LE(4) : undefined
  }

  private removeStale(path: string, address: Buffer): void {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isSocket()) throw systemError('EADDRINUSE', `${path}: a file that is no socket`)
    const socket = this.make()
    const failure = this.libc.connect(socket, address, address.length)
    this.libc.close(socket)
    if (failure === 0 || nameOf(failure) !== 'ECONNREFUSED') {
      throw systemError('EADDRINUSE', `${path}: somebody listens there`)
    }
    unlinkSync(path)
  }

  private make(): number {
    const socket = this.libc.socket(unixFamily, streamSocket, 0)
    this.demand(Math.min(socket, 0), 'socket')
    return socket
  }

  private demand(failure: number, what: string): void {
    if (failure < 0) throw systemError(nameOf(failure), what)
  }
}

/** EADDRINUSE where another kind of file lies there now. */
export function setAccess(path: string, { gid, mode, uid }: SocketAccess): void {
  const now = lstatSync(path)
  if (!now.isSocket()) throw systemError('EADDRINUSE', `${path}: a file that is no socket`)
  if (uid !== undefined || gid !== undefined) lchownSync(path, uid ?? now.uid, gid ?? now.gid)
  chmodSync(path, mode)
}

function addressOf(path: string): Buffer {
  const bytes = Buffer.byteLength(path)
  if (bytes > maxSocketPathBytes) {
    throw systemError('ENAMETOOLONG', `${path}: ${bytes} bytes, allowed ${maxSocketPathBytes}`)
  }
  const address = Buffer.alloc(2 + bytes + 1)
  address.writeUInt16LE(unixFamily, 0)
  address.write(path, 2)
  return address
}

function nameOf(failure: number): string {
  return getSystemErrorName(failure)
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${what}: ${code}`), { code })
}
