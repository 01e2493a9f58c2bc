/**
 * What the kernel knows of the bytes that a TCP connection sent: how many the peer's system has not acknowledged
 * (SIOCOUTQ, tcp(7)), and whether the connection is dead (TCP_INFO). Both stay answerable until the descriptor is
 * closed, also after a reset. Layouts: linux/tcp.h, asm-generic/ioctls.h; the same on x64 and arm64.
 */
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'

const outQueue = 0x5411n
const tcpLevel = 6
const tcpInfo = 11
/** TCP_CLOSE: nothing goes or comes any more. TCP_CLOSE_WAIT: the peer sent FIN. */
const [closedState, closeWaitState] = [7, 8]

export interface TcpSending {
  /** Bytes that were written and not acknowledged; -1 when the question failed. */
  unacknowledged(descriptor: number): number
  /** Whether a reset or a time-out has ended the connection. */
  isDead(descriptor: number): boolean
  /** Whether the peer has sent FIN, whatever bytes before it are still to be read, or the connection is dead. */
  hasPeerEnded(descriptor: number): boolean
}

/** undefined where the system does not offer it. */
export function openTcpSending(): TcpSending | undefined {
  const { libc } = loadLibc()
  return libc === undefined ? undefined : new KernelTcpSending(libc)
}

class KernelTcpSending implements TcpSending {
  private readonly libc: Libc
  private readonly value = Buffer.alloc(8)
  private readonly length = Buffer.alloc(4)

  constructor(libc: Libc) {
    this.libc = libc
  }

  unacknowledged(descriptor: number): number {
    return this.libc.ioctl(descriptor, outQueue, this.value) === 0 ? this.value.readInt32LE(0) : -1
  }

  isDead(descriptor: number): boolean {
    return this.state(descriptor) === closedState
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
