import type { Socket } from 'node:net'

/** A socket of Node's and how it ends: for good, and what is said to one that is closed has no effect. */
export abstract class EndingSocket {
  isClosed = false
  protected readonly socket: Socket

  protected constructor(socket: Socket) {
    this.socket = socket
  }

  /** Written and not with the kernel yet. */
  get pendingBytes(): number {
    return this.isClosed ? 0 : this.socket.writableLength
  }

  /** FIN, behind what was written. */
  end(): void {
    if (!this.isClosed) this.socket.end()
  }

  /** What waits to be written is lost. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.destroy()
  }

  reset(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.resetAndDestroy()
  }
}
