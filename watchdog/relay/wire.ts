/**
 * One socket of the relay, either side. What it reads is handed on at once and never kept here; what it cannot write at
 * once is bounded by whoever heeds `write` and pauses the source.
 *
 * The other side of an upload may answer early and close: our write then fails while its answer still waits in the
 * kernel. A socket of Node's would drop both. Here a failed write is only remembered, and the reading goes on to its
 * end, which is what judges.
 */
import net from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { EndingSocket } from '../../native/ending-socket.ts'

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

const loopback = '127.0.0.1'

/** Reads on after a write that failed: from then on what is written is thrown away. */
function outliveFailedWrites(socket: net.Socket): void {
  let hasFailed = false
  const swallow =
    (callback: (error?: Error | null) => void) =>
    (error?: Error | null): void => {
      if (error) hasFailed = true
      callback()
    }
  const { _write: write, _writev: writev, _final: final } = socket
  socket._write = (chunk, encoding, callback) => {
    if (hasFailed) callback()
    else write.call(socket, chunk, encoding, swallow(callback))
  }
  socket._writev = (chunks, callback) => {
    if (hasFailed) callback()
    else writev!.call(socket, chunks, swallow(callback))
  }
  socket._final = (callback) => final.call(socket, swallow(callback))
}

export interface DialOptions {
  /** What may wait to be written. */
  readonly maxBytes: number
  /** Of the connection, and with `tls` again for the handshake. */
  readonly timeoutMs: number
  /** In TLS, with these. */
  readonly tls: ConnectionOptions | undefined
}

export class Wire extends EndingSocket {
  owner: WireOwner = nobody
  private readonly isSecure: boolean
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
   * `onFailed` is told why a handshake failed; '' = there was no connection.
   */
  static dial(
    target: { readonly address: string; readonly port: number },
    { maxBytes, timeoutMs, tls }: DialOptions,
    onConnected: (wire: Wire) => void,
    onFailed: (why: string) => void,
  ): { cancel(): void } {
    let wire: Wire | undefined
    // Node takes `highWaterMark` here as it does for any stream; its types do not know.
    const options: net.SocketConstructorOpts & { readonly highWaterMark: number } = {
      allowHalfOpen: true,
      highWaterMark: maxBytes,
    }
    if (tls === undefined)
      options.onread = {
        buffer: readBuffer,
        callback: (length) => {
          if (wire !== undefined && !wire.isClosed) wire.owner.onBytes(readBuffer.subarray(0, length))
          return true
        },
      }
    const plain = new net.Socket(options)
    plain.setNoDelay(true)
    plain.pause()
    let socket = plain
    const leave = (): void => {
      clearTimeout(timer)
      for (const one of [plain, socket]) one.off('connect', connected).off('secureConnect', secured).off('error', fail)
    }
    const drop = (): void => {
      leave()
      for (const one of [plain, socket]) one.on('error', () => {}).destroy()
    }
    const fail = (error?: Error): void => {
      const why = socket === plain ? '' : (error?.message ?? 'no handshake in time')
      drop()
      onFailed(why)
    }
    const handOver = (): void => {
      leave()
      outliveFailedWrites(socket)
      wire = new Wire(socket, tls !== undefined)
      onConnected(wire)
    }
    const connected = (): void => {
      if (tls === undefined) {
        handOver()
        return
      }
      clearTimeout(timer)
      timer = setTimeout(fail, timeoutMs)
      socket = process.getBuiltinModule('node:tls').connect({ ...tls, socket: plain })
      socket.pause()
      socket.once('error', fail).once('secureConnect', secured)
    }
    const secured = (): void => {
      socket.on('data', (bytes: Buffer) => {
        if (wire !== undefined && !wire.isClosed) wire.owner.onBytes(bytes)
      })
      socket.pause()
      handOver()
    }
    let timer = setTimeout(fail, timeoutMs)
    plain.once('error', fail).once('connect', connected)
    plain.connect({ host: target.address, port: target.port })
    return { cancel: drop }
  }

  private constructor(socket: net.Socket, isSecure = false) {
    super(socket)
    this.isSecure = isSecure
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

  /** Both ends of the connection; a unix socket has no addresses, and is this host. */
  get peer(): {
    readonly address: string
    readonly port: number
    readonly localAddress: string
    readonly localPort: number
  } {
    const { remoteAddress = loopback, remotePort = 0, localAddress = loopback, localPort = 0 } = this.socket
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

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** TLS has no reset of its own: an end without close_notify is one. */
  override reset(): void {
    if (this.isSecure) this.close()
    else super.reset()
  }

  private gone(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.destroy()
    this.owner.onClosed()
  }
}
