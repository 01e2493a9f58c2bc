/**
 * What the kernel knows of the peer of a TCP connection (tcp(7)), also while nobody reads. Layouts: linux/tcp.h,
 * asm-generic/ioctls.h; the same on x64 and arm64.
 */
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'

const outQueue = 0x5411n
const tcpLevel = 6
const tcpInfo = 11
/** TCP_CLOSE: nothing goes or comes any more. TCP_CLOSE_WAIT: the peer sent FIN. */
const [closedState, closeWaitState] = [7, 8]

export interface TcpPeer {
  /** Bytes that were written and not acknowledged (SIOCOUTQ); -1 when the question failed. */
  unacknowledged(descriptor: number): number
  /** Whether the peer has sent FIN, whatever bytes before it are still to be read, or the connection is dead. */
  hasPeerEnded(descriptor: number): boolean
}

/** undefined where the system does not offer it. */
export function openTcpPeer(): TcpPeer | undefined {
  const { libc } = loadLibc()
  return libc === undefined ? undefined : new KernelTcpPeer(libc)
}

class KernelTcpPeer implements TcpPeer {
  private readonly libc: Libc
  private readonly value = Buffer.alloc(8)
  private readonly length = Buffer.alloc(4)

  constructor(libc: Libc) {
    this.libc = libc
  }

  unacknowledged(descriptor: number): number {
    return this.libc.ioctl(descriptor, outQueue, this.value) === 0 ? this.value.readInt32LE(0) : -1
  }

  hasPeerEnded(descriptor: number): boolean {
    const state = this.state(descriptor)
    return state === closedState || state === closeWaitState
  }

  private state(descriptor: number): number {
    // The first byte of struct tcp_info is the state; a shorter buffer gets a shorter answer.
    this.length.writeUInt32LE(this.value.length)
    const failed = this.libc.getsockopt(descriptor, tcpLevel, tcpInfo, this.value, this.length) !== 0
    return failed ? -1 : this.value[0]!
  }
}
