/**
 * Descriptors between any two processes of one user, and copies of them inside one.
 *
 * A `DescriptorPort` is a datagram socket in the run directory. Sending is done before the announcing message goes out
 * on the stream, so the receiver always finds it; a batch is named by the sender's process id and number, so senders
 * cannot be mixed up. Batches that nobody asks for are bounded and closed.
 */
import { unlinkSync } from 'node:fs'
import { MeshError } from '../contracts/errors.ts'
import { errnoName, loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { readSocketAddress } from './socket-address.ts'
import { MessageMemory } from './socket-message.ts'
import type { SendOutcome } from './socket-message.ts'

const datagramSocket = 2 | 0o2000000 | 0o4000 // SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK
const duplicateCloseOnExec = 1030 // F_DUPFD_CLOEXEC
const setDescriptorFlags = 2 // F_SETFD
const socketLevel = 1 // SOL_SOCKET
const acceptsConnections = 30 // SO_ACCEPTCONN
const socketType = 3 // SO_TYPE
const soPeerCredentials = 17 // SO_PEERCRED
const lockExclusiveNow = 2 | 4 // LOCK_EX | LOCK_NB
const magic = 0x484d_4644

/** Batches received and not asked for; the oldest is closed beyond this. */
export const maxWaitingBatches = 64

export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

export interface Native {
  /**
   * A copy of a descriptor with close-on-exec. Throws an Error with `code` EMFILE when none is left, EBADF for one that
   * is not open.
   */
  duplicate(descriptor: number): number
  /** Lets a descriptor live through execve(2): Node marks everything that it inherited to be closed there. */
  keepOnExec(descriptor: number): void
  /** Whether it is a listening socket. False for anything else, also for a number that is not open. */
  isListening(descriptor: number): boolean
  /** Whether it is a socket of datagrams; as `isListening` otherwise. */
  isDatagram(descriptor: number): boolean
  /** Closes a descriptor that belongs to nobody else in this process. */
  close(descriptor: number): void
  /** Who is at the other end of a connected unix stream socket; undefined when the kernel does not tell. */
  peerCredentials(descriptor: number): PeerCredentials | undefined
  /**
   * Takes the lock of an open file, until that file is closed or the process ends. False when another process has it.
   */
  tryLock(descriptor: number): boolean
  /** Address and port of a TCP socket; undefined for anything else. */
  localAddress(descriptor: number): { readonly address: string; readonly port: number } | undefined
  getOption(descriptor: number, level: number, option: number): number | undefined
  setOption(descriptor: number, level: number, option: number, value: number): boolean
  /** Binds a datagram socket at `path` (an old file there is removed first). E_RUN_DIRECTORY when it cannot. */
  openPort(path: string): DescriptorPort
  /** One datagram of at most 4 KiB, with descriptors, to any unix socket: systemd's. */
  sendTo(path: string, message: string | Buffer, descriptors: readonly number[]): SendOutcome
}

export interface DescriptorPort {
  /** Never waits. The descriptors stay the caller's. */
  send(path: string, batch: number, descriptors: readonly number[]): SendOutcome
  /** Descriptors of a batch that its sender has announced, now the caller's; undefined when they did not come. */
  take(senderPid: number, batch: number): number[] | undefined
  close(): void
}

export type NativeOutcome =
  { readonly native: Native; readonly problem: undefined } | { readonly native: undefined; readonly problem: string }

/** Loads and proves it on a pair of sockets of this process; answers a reason when anything is not as expected. */
export function loadNative(): NativeOutcome {
  const { libc, problem } = loadLibc()
  if (libc === undefined) return { native: undefined, problem }
  const native = createNative(libc)
  const failure = selfTest(native)
  return failure === undefined ? { native, problem: undefined } : { native: undefined, problem: failure }
}

function createNative(libc: Libc): Native {
  const memory = new MessageMemory(libc)
  const scratch = Buffer.alloc(12)
  const scratchLength = Buffer.alloc(4)
  const socketAddress = Buffer.alloc(28)

  const openSocket = (): number => {
    const socket = libc.socket(1, datagramSocket, 0)
    if (socket < 0) throw systemError(socket, 'socket')
    return socket
  }

  const readOption = (descriptor: number, level: number, option: number): number => {
    scratchLength.writeUInt32LE(scratch.length, 0)
    if (libc.getsockopt(descriptor, level, option, scratch, scratchLength) !== 0) return -1
    return scratchLength.readUInt32LE(0)
  }

  let sender = -1
  const sendTo = (path: string, bytes: Buffer, descriptors: readonly number[]): SendOutcome => {
    if (sender < 0) sender = openSocket()
    return memory.send(sender, path, bytes, descriptors)
  }

  return {
    duplicate(descriptor) {
      const copy = libc.fcntl(descriptor, duplicateCloseOnExec, 3)
      if (copy < 0) throw systemError(copy, `copy of descriptor ${descriptor}`)
      return copy
    },
    keepOnExec(descriptor) {
      libc.fcntl(descriptor, setDescriptorFlags, 0)
    },
    isListening: (descriptor) =>
      readOption(descriptor, socketLevel, acceptsConnections) === 4 && scratch.readInt32LE(0) === 1,
    isDatagram: (descriptor) =>
      readOption(descriptor, socketLevel, socketType) === 4 && scratch.readInt32LE(0) === (datagramSocket & 0xf),
    close(descriptor) {
      libc.close(descriptor)
    },
    peerCredentials(descriptor) {
      if (readOption(descriptor, socketLevel, soPeerCredentials) !== 12) return undefined
      return { pid: scratch.readInt32LE(0), uid: scratch.readUInt32LE(4), gid: scratch.readUInt32LE(8) }
    },
    tryLock: (descriptor) => libc.flock(descriptor, lockExclusiveNow) === 0,
    localAddress(descriptor) {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(socketAddress.length, 0)
      if (libc.getsockname(descriptor, socketAddress, length) !== 0) return undefined
      return readSocketAddress(socketAddress)
    },
    getOption: (descriptor, level, option) =>
      readOption(descriptor, level, option) === 4 ? scratch.readInt32LE(0) : undefined,
    setOption(descriptor, level, option, value) {
      scratch.writeInt32LE(value, 0)
      return libc.setsockopt(descriptor, level, option, scratch, 4) === 0
    },
    openPort(path) {
      const socket = openSocket()
      try {
        unlinkSync(path)
      } catch {
        // There was none.
      }
      const address = memory.address(path)
      const failure = address === undefined ? 0 : libc.bind(socket, address.bytes, address.length)
      if (address === undefined || failure !== 0) {
        const reason = address === undefined ? 'the path is longer than 107 bytes' : errnoName(-failure)
        libc.close(socket)
        throw new MeshError('E_RUN_DIRECTORY', `${path}: cannot bind a datagram socket: ${reason}`)
      }
      return createPort(libc, memory, socket, path, sendTo)
    },
    sendTo: (path, message, descriptors) =>
      sendTo(path, typeof message === 'string' ? Buffer.from(message, 'utf8') : message, descriptors),
  }
}

function createPort(
  libc: Libc,
  memory: MessageMemory,
  socket: number,
  path: string,
  sendTo: (path: string, bytes: Buffer, descriptors: readonly number[]) => SendOutcome,
): DescriptorPort {
  const waiting = new Map<string, number[]>()
  let isClosed = false

  const closeAll = (descriptors: readonly number[] | undefined): void => {
    for (const descriptor of descriptors ?? []) libc.close(descriptor)
  }

  const drainSocket = (): void => {
    for (;;) {
      const outcome = memory.receive(socket)
      if (outcome.kind === 'empty') return
      if (outcome.kind === 'cut') continue
      if (outcome.bytes.length !== 12 || outcome.bytes.readUInt32LE(0) !== magic) {
        closeAll(outcome.descriptors)
        continue
      }
      const key = `${outcome.bytes.readUInt32LE(4)}:${outcome.bytes.readUInt32LE(8)}`
      closeAll(waiting.get(key))
      waiting.set(key, outcome.descriptors)
      if (waiting.size > maxWaitingBatches) {
        const [oldest] = waiting.keys()
        closeAll(waiting.get(oldest!))
        waiting.delete(oldest!)
      }
    }
  }

  return {
    send(target, batch, descriptors) {
      const bytes = Buffer.alloc(12)
      bytes.writeUInt32LE(magic, 0)
      bytes.writeUInt32LE(process.pid, 4)
      bytes.writeUInt32LE(batch, 8)
      return sendTo(target, bytes, descriptors)
    },
    take(senderPid, batch) {
      if (isClosed) return undefined
      drainSocket()
      const key = `${senderPid}:${batch}`
      const descriptors = waiting.get(key)
      waiting.delete(key)
      return descriptors
    },
    close() {
      if (isClosed) return
      isClosed = true
      for (const descriptors of waiting.values()) closeAll(descriptors)
      waiting.clear()
      libc.close(socket)
      try {
        unlinkSync(path)
      } catch {
        // Already gone with its directory.
      }
    },
  }
}

/** A descriptor must survive the trip through a socket of our own, and a copy must be another number. */
function selfTest(native: Native): string | undefined {
  const path = `@hostmesh-self-test-${process.pid}-${process.hrtime.bigint()}`
  try {
    const port = native.openPort(path)
    try {
      const copy = native.duplicate(2)
      const outcome = port.send(path, 1, [copy])
      native.close(copy)
      if (outcome !== 'sent') return `self-test: sendmsg: ${typeof outcome === 'string' ? outcome : outcome.problem}`
      const got = port.take(process.pid, 1)
      for (const descriptor of got ?? []) native.close(descriptor)
      return got?.length === 1 ? undefined : `self-test: sent 1 descriptor, received ${got?.length ?? 0}`
    } finally {
      port.close()
    }
  } catch (error) {
    return `self-test: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** @param failure -errno */
function systemError(failure: number, what: string): Error {
  const code = errnoName(-failure)
  return Object.assign(new Error(`${what}: ${code}`), { code })
}
