/**
 * Transports on Node's own TCP handles: no stream layer, one read buffer for all sockets, no object per write that the
 * kernel takes at once.
 *
 * Why: half of the cost of a small request in Node is the stream layer around the socket. Everything internal that the
 * data path relies on is in this file and in `raw-bindings.ts`. It is no public API, so the file is only used on a
 * major version it was written for and after `raw-self-test.ts` passed in this very process; else `public-socket.ts`
 * serves.
 */
import { isIPv6 } from 'node:net'

import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import { openTcpPeer } from '../../../native/tcp-peer.ts'
import type { TcpPeer } from '../../../native/tcp-peer.ts'
import type { Output, OutputBlock } from './output.ts'
import { loadBindings, systemError } from './raw-bindings.ts'
import type { Bindings, Handle, HandleOwner, WriteRequest } from './raw-bindings.ts'
import { Fate, nobody, noIdentity, readBufferBytes, refuseState } from './transport.ts'
import type {
  DetachedTransport,
  Dial,
  DialCallback,
  ListenOptions,
  Transport,
  TransportListener,
  TransportOwner,
  TransportPeer,
  Transports,
} from './transport.ts'

/** What all transports of a process share. */
interface Shared {
  readonly bindings: Bindings
  readonly state: Int32Array
  readonly readBytesOrError: number
  readonly readBuffer: Buffer
  /** undefined where the system does not offer it: then nobody can tell whether the peer has ended. */
  readonly tcpPeer: TcpPeer | undefined
  /** Of no length: a handle with it reads nothing and tells UV_ENOBUFS whenever there is something to read. */
  readonly noBuffer: Buffer
  readonly onRead: (this: Handle) => Buffer | undefined
  readonly onWritten: (this: WriteRequest, status: number) => void
}

class RawTransport implements Transport, HandleOwner {
  owner: TransportOwner = nobody
  pendingBytes = 0
  private readonly shared: Shared
  private handle: Handle | null
  private isReading = false
  private hasEnded = false
  /** Bytes of a failed write. */
  private refusedBytes = 0
  /** When it broke: the bytes of the last writes that never left. */
  private lostBytes = 0
  /** A write found the connection broken, with this error; what the peer said before is read first. 0 = none. */
  private brokenBy = 0
  private writes: WriteRequest[] | null = null
  private known: TransportPeer | null = null
  /** Where the handle reads into: it holds only the address, so this keeps the memory alive. */
  private readBuffer: Buffer
  private nextBuffer: Buffer | null = null

  constructor(shared: Shared, handle: Handle) {
    this.shared = shared
    this.handle = handle
    handle.transport = this
    handle.onread = shared.onRead
    this.readBuffer = shared.readBuffer
    handle.useUserBuffer(shared.readBuffer)
  }

  get descriptor(): number {
    return this.handle === null ? -1 : this.handle.fd
  }

  get spliceDescriptor(): number {
    return this.descriptor
  }

  get isMovable(): boolean {
    return this.descriptor >= 0
  }

  get isClosed(): boolean {
    return this.handle === null
  }

  resumeReading(): void {
    if (this.isReading || this.hasEnded || this.handle === null) return
    this.isReading = true
    this.handle.readStart()
  }

  pauseReading(): void {
    if (!this.isReading || this.handle === null) return
    this.isReading = false
    this.handle.readStop()
  }

  write(output: Output): boolean {
    const handle = this.handle
    const length = output.length
    if (handle === null) {
      output.clear()
      return false
    }
    if (length === 0) return this.pendingBytes === 0
    // Behind a slow write the bytes are copied, so that the output keeps its memory; the first slow write takes the
    // memory itself.
    const isQueued = this.pendingBytes > 0
    const bytes = isQueued ? Buffer.from(output.view()) : output.view()
    const result = handle.writeBuffer(null, bytes)
    if (result === 0) {
      output.clear()
      return true
    }
    const request = this.accepted(result, length)
    if (request === null) {
      output.clear()
      return false
    }
    const block = isQueued ? null : output.surrender()
    output.clear()
    this.follow(handle, request, bytes, block)
    return false
  }

  awaitReadable(isOn: boolean): void {
    this.nextBuffer = isOn ? this.shared.noBuffer : this.shared.readBuffer
  }

  writeFrom(memory: Buffer, length: number): boolean {
    const handle = this.handle
    if (handle === null) return false
    const bytes = length === memory.length ? memory : memory.subarray(0, length)
    const result = handle.writeBuffer(null, bytes)
    if (result === 0) return true
    const request = this.accepted(result, length)
    if (request !== null) this.follow(handle, request, bytes, null)
    return false
  }

  /** The request of a write that goes on by itself, or null when it failed: `onClosed` follows. */
  private accepted(result: number | WriteRequest, length: number): WriteRequest | null {
    const error = typeof result === 'number' ? result : this.shared.state[this.shared.bindings.lastWriteError]!
    if (typeof result !== 'number' && error === 0) return result
    this.refusedBytes += length
    this.fail(error)
    return null
  }

  private follow(handle: Handle, request: WriteRequest, bytes: Buffer, block: OutputBlock | null): void {
    request.transport = this
    request.oncomplete = this.shared.onWritten
    request.bytes = bytes
    request.block = block
    ;(this.writes ??= []).push(request)
    this.pendingBytes = handle.writeQueueSize
    const status = request.writeStatus
    if (status === null) return
    request.writeStatus = null
    setImmediate(() => request.oncomplete(status))
  }

  fateOf(sent: number): Fate {
    const { handle } = this
    const notLeft = handle === null ? this.lostBytes : this.notLeft(handle)
    if (notLeft >= sent) return Fate.unread
    if (handle === null || !this.hasEnded) return Fate.mayBeRead
    const unacknowledged = this.shared.tcpPeer?.unacknowledged(handle.fd) ?? -1
    return notLeft + unacknowledged >= sent ? Fate.unacknowledged : Fate.mayBeRead
  }

  get hasPeerEnded(): boolean {
    return this.hasEnded || (this.handle !== null && this.shared.tcpPeer?.hasPeerEnded(this.handle.fd) === true)
  }

  /** Bytes that the kernel never got. */
  private notLeft(handle: Handle): number {
    return this.refusedBytes + handle.writeQueueSize
  }

  end(): void {
    if (this.handle === null) return
    const request = new this.shared.bindings.ShutdownWrap()
    request.oncomplete = () => {}
    this.handle.shutdown(request)
  }

  close(): void {
    const handle = this.forget()
    if (handle !== null) handle.close()
  }

  reset(): void {
    const handle = this.forget()
    if (handle !== null && handle.reset() !== 0) handle.close()
  }

  release(): void {
    this.close()
  }

  detach(): DetachedTransport {
    const unsent = this.takeUnsent()
    this.release()
    return { unsent, state: null }
  }

  private takeUnsent(): Buffer {
    const handle = this.handle
    if (handle === null || this.writes === null || this.writes.length === 0) return Buffer.alloc(0)
    const all = Buffer.concat(this.writes.map((request) => request.bytes ?? Buffer.alloc(0)))
    return Buffer.from(all.subarray(all.length - Math.min(all.length, handle.writeQueueSize)))
  }

  setKeepAlive(delayMs: number): void {
    this.handle?.setKeepAlive(true, Math.max(1, Math.round(delayMs / 1000)))
  }

  get identity(): PeerIdentity {
    return noIdentity
  }

  peer(): TransportPeer {
    if (this.known !== null) return this.known
    const local: { address?: string; port?: number } = {}
    const remote: { address?: string; port?: number } = {}
    this.handle?.getsockname(local)
    this.handle?.getpeername(remote)
    return (this.known = {
      address: remote.address ?? '',
      port: remote.port ?? 0,
      localAddress: local.address ?? '',
      localPort: local.port ?? 0,
      identity: noIdentity,
    })
  }

  /** From the handle's read callback. Answers the memory for the next read if it is another one. */
  onReadResult(count: number): Buffer | undefined {
    if (count > 0) {
      this.owner.onBytes(this.readBuffer, count)
      if (this.nextBuffer !== null) return this.takeNextBuffer()
    } else if (count === this.shared.bindings.noBuffers && this.readBuffer.length === 0) {
      this.owner.onReadable?.()
      if (this.nextBuffer !== null) return this.takeNextBuffer()
    } else if (count === this.shared.bindings.endOfFile) {
      this.isReading = false
      if (this.brokenBy !== 0) {
        this.breakNow(this.brokenBy)
        return undefined
      }
      this.hasEnded = true
      this.owner.onEnd()
    } else if (count < 0) {
      this.breakNow(count)
    }
    return undefined
  }

  private takeNextBuffer(): Buffer | undefined {
    const next = this.nextBuffer!
    this.nextBuffer = null
    if (this.handle === null || next === this.readBuffer) return undefined
    this.readBuffer = next
    return next
  }

  /** From a slow write's completion. */
  onWritten(request: WriteRequest, status: number): void {
    if (this.handle === null) return
    this.writes?.splice(this.writes.indexOf(request), 1)
    this.pendingBytes = this.handle.writeQueueSize
    if (status < 0) this.writeBroke(status)
    else if (this.writes === null || this.writes.length === 0) {
      this.pendingBytes = 0
      this.owner.onDrained()
    }
  }

  private breakNow(code: number): void {
    if (this.handle === null) return
    const owner = this.owner
    this.lostBytes = this.notLeft(this.handle)
    this.close()
    owner.onClosed(this.shared.bindings.errorName(code))
  }

  /** A write failed inside the owner's own call: tell it in a later turn. */
  private fail(code: number): void {
    setImmediate(() => this.writeBroke(code))
  }

  /**
   * An answer may have come before the reset that the write met (R25): whoever reads is told of the end by the read
   * behind it, which is sure to come.
   */
  private writeBroke(code: number): void {
    const { handle, shared } = this
    if (handle === null) return
    const isReset = code === shared.bindings.brokenPipe || code === shared.bindings.connectionReset
    if (!isReset || !this.isReading) {
      this.breakNow(code)
      return
    }
    this.brokenBy = code
    // never idle again
    this.pendingBytes = Math.max(1, handle.writeQueueSize)
  }

  private forget(): Handle | null {
    const handle = this.handle
    if (handle === null) return null
    this.handle = null
    this.isReading = false
    this.writes = null
    this.pendingBytes = 0
    handle.transport = null
    return handle
  }
}

class RawListener implements TransportListener {
  readonly port: number
  readonly address: string
  private handle: Handle | null

  constructor(shared: Shared, handle: Handle, onAccept: (transport: Transport) => void) {
    this.handle = handle
    const name: { address?: string; port?: number } = {}
    handle.getsockname(name)
    this.address = name.address ?? ''
    this.port = name.port ?? 0
    handle.onconnection = (status, client) => {
      if (status !== 0 || client === undefined) return
      client.setNoDelay(true)
      onAccept(new RawTransport(shared, client))
    }
  }

  get descriptor(): number {
    return this.handle === null ? -1 : this.handle.fd
  }

  close(): void {
    this.handle?.close()
    this.handle = null
  }
}

/**
 * `output` is the worker's one output buffer: memory of finished slow writes goes back to it. Throws when a binding is
 * missing.
 */
export function rawTransports(output: Output): Transports {
  const bindings = loadBindings()
  const { state, readBytesOrError } = bindings
  const readBuffer = Buffer.allocUnsafeSlow(readBufferBytes)
  const shared: Shared = {
    bindings,
    state,
    readBytesOrError,
    readBuffer,
    tcpPeer: openTcpPeer(),
    noBuffer: readBuffer.subarray(0, 0),
    onRead(this: Handle) {
      return this.transport?.onReadResult(state[readBytesOrError]!)
    },
    onWritten(this: WriteRequest, status: number) {
      const { block, transport } = this
      this.bytes = null
      this.block = null
      if (block !== null) output.recycle(block)
      transport?.onWritten(this, status)
    },
  }
  const { TCP, TCPConnectWrap, constants } = bindings

  const finishListening = (handle: Handle, backlog: number, what: string, onAccept: (transport: Transport) => void) => {
    const listener = new RawListener(shared, handle, onAccept)
    const failed = handle.listen(backlog)
    if (failed === 0) return listener
    handle.close()
    throw systemError(bindings, failed, `listen ${what}`)
  }

  return {
    kind: 'raw',
    async listen(options: ListenOptions, onAccept) {
      const handle = new TCP(constants.SERVER)
      const flags = options.reusePort ? constants.UV_TCP_REUSEPORT : 0
      const failed = isIPv6(options.address)
        ? handle.bind6(options.address, options.port, flags)
        : handle.bind(options.address, options.port, flags)
      const what = `${options.address}:${options.port}`
      if (failed !== 0) {
        handle.close()
        throw systemError(bindings, failed, `bind ${what}`)
      }
      return finishListening(handle, options.backlog, what, onAccept)
    },
    async listenOn(descriptor, backlog, onAccept) {
      const handle = new TCP(constants.SERVER)
      const failed = handle.open(descriptor)
      if (failed !== 0) {
        handle.close()
        throw systemError(bindings, failed, `open descriptor ${descriptor}`)
      }
      return finishListening(handle, backlog, `descriptor ${descriptor}`, onAccept)
    },
    dial(address: string, port: number, callback: DialCallback): Dial {
      const handle = new TCP(constants.SOCKET)
      let isOver = false
      const finish = (status: number): void => {
        if (isOver) return
        isOver = true
        if (status !== 0) {
          handle.close()
          callback(null, bindings.errorName(status))
          return
        }
        handle.setNoDelay(true)
        callback(new RawTransport(shared, handle), '')
      }
      const request = new TCPConnectWrap()
      request.oncomplete = finish
      const failed = isIPv6(address) ? handle.connect6(request, address, port) : handle.connect(request, address, port)
      if (failed !== 0) setImmediate(finish, failed)
      return {
        cancel() {
          if (isOver) return
          isOver = true
          handle.close()
        },
      }
    },
    open(descriptor, state) {
      refuseState(state)
      const handle = new TCP(constants.SOCKET)
      const failed = handle.open(descriptor)
      if (failed !== 0) {
        handle.close()
        throw systemError(bindings, failed, `open descriptor ${descriptor}`)
      }
      handle.setNoDelay(true)
      return new RawTransport(shared, handle)
    },
  }
}
