/**
 * One socket of the relay, either side. What it reads is handed on at once and never kept here; what it cannot write at
 * once is bounded by whoever heeds `write` and pauses the source.
 *
 * The other side of an upload may answer early and close: our write then fails while its answer still waits in the
 * kernel. A socket of Node's would drop both. Here a failed write is only remembered, and the reading goes on to its
 * end, which is what judges.
 */
import net from 'node:net'

export interface WireOwner {
  /** The bytes are the wire's own: valid during the call. */
  onBytes(bytes: Buffer): void
  /** The other side sends no more; it may still read. */
  onEnd(): void
  /** What `write` could not place is with the kernel. */
  onDrained(): void
  /** Gone, by the other side. Called once, never after `close` or `reset`. */
  onClosed(): void
}

/** Of a wire whose bytes are not wanted yet. */
export const nobody: WireOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }

/** All sockets that are dialled read into this one. */
const readBuffer = Buffer.allocUnsafe(65_536)

/** Reads on after a write that failed. */
class Socket extends net.Socket {
  hasFailedWrite = false

  private swallow(callback: (error?: Error | null) => void): (error?: Error | null) => void {
    return (error) => {
      if (error) this.hasFailedWrite = true
      callback()
    }
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.hasFailedWrite) callback()
    else super._write(chunk, encoding, this.swallow(callback))
  }

  override _writev(
    chunks: { chunk: unknown; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    if (this.hasFailedWrite) callback()
    else super._writev?.(chunks, this.swallow(callback))
  }

  override _final(callback: (error?: Error | null) => void): void {
    super._final(this.swallow(callback))
  }
}

export class Wire {
  owner: WireOwner = nobody
  isClosed = false
  private readonly socket: net.Socket
  private isSlow = false

  /** Of an accepted socket that is paused and may be half open. */
  static accepted(socket: net.Socket): Wire {
    const wire = new Wire(socket)
    socket.on('data', (bytes: Buffer) => {
      if (!wire.isClosed) wire.owner.onBytes(bytes)
    })
    socket.pause()
    return wire
  }

  /**
   * Dials. Exactly one of the callbacks is called, unless `cancel` was before. The wire comes paused.
   * @param maxBytes what may wait to be written
   */
  static dial(
    target: { readonly address: string; readonly port: number },
    maxBytes: number,
    timeoutMs: number,
    onConnected: (wire: Wire) => void,
    onFailed: () => void,
  ): { cancel(): void } {
    let wire: Wire | undefined
    // Node takes `highWaterMark` here as it does for any stream; its types do not know.
    const options: net.SocketConstructorOpts & { readonly highWaterMark: number } = {
      allowHalfOpen: true,
      highWaterMark: maxBytes,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          if (wire !== undefined && !wire.isClosed) wire.owner.onBytes(readBuffer.subarray(0, length))
          return true
        },
      },
    }
    const socket = new Socket(options)
    socket.setNoDelay(true)
    socket.pause()
    const fail = (): void => {
      clearTimeout(timer)
      socket.off('connect', connected).off('error', fail)
      socket.on('error', () => {})
      socket.destroy()
      onFailed()
    }
    const connected = (): void => {
      clearTimeout(timer)
      socket.off('error', fail)
      wire = new Wire(socket)
      onConnected(wire)
    }
    const timer = setTimeout(fail, timeoutMs)
    socket.once('error', fail).once('connect', connected)
    socket.connect({ host: target.address, port: target.port })
    return {
      cancel: () => {
        clearTimeout(timer)
        socket.off('connect', connected).off('error', fail)
        socket.on('error', () => {})
        socket.destroy()
      },
    }
  }

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('end', () => {
      if (!this.isClosed) this.owner.onEnd()
    })
    socket.on('drain', () => {
      if (!this.isSlow || this.isClosed) return
      this.isSlow = false
      this.owner.onDrained()
    })
    socket.on('error', () => this.gone())
    socket.on('close', () => this.gone())
  }

  /** Both ends of the connection. */
  get peer(): {
    readonly address: string
    readonly port: number
    readonly localAddress: string
    readonly localPort: number
  } {
    const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = this.socket
    return { address: remoteAddress, port: remotePort, localAddress, localPort }
  }

  /** The bytes must not change afterwards. False = wait for `onDrained` before more comes. */
  write(bytes: Buffer): boolean {
    if (this.isClosed || bytes.length === 0) return !this.isSlow
    if (!this.socket.write(bytes)) this.isSlow = true
    return !this.isSlow
  }

  /** A copy of what may change. */
  writeCopy(bytes: Buffer): boolean {
    return this.write(Buffer.from(bytes))
  }

  /** Written and not with the kernel yet. */
  get pendingBytes(): number {
    return this.isClosed ? 0 : this.socket.writableLength
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
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

  private gone(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.destroy()
    this.owner.onClosed()
  }
}
