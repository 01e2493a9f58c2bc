import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'

import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { FixedMemory } from '../../../../native/bare-functions.ts'
import type { TcpPeer } from '../../../../native/tcp-peer.ts'
import type { TcpSockets } from '../../../../native/tcp-sockets.ts'
import type { Output, OutputBlock } from '../output.ts'
import { Fate, nobody, noIdentity } from '../transport.ts'
import type { DetachedTransport, Transport, TransportOwner, TransportPeer } from '../transport.ts'
import { Edge, everyEdge, readingEdges } from './loop.ts'
import type { EpollLoop, Watched } from './loop.ts'
import type { OutputMemory } from './output-memory.ts'

const { EAGAIN, ECONNRESET, EINTR, EPIPE } = constants.errno
const { hangUp, error, peerEnd, urgent } = Edge
const readEdges = Edge.in | urgent | error | hangUp | peerEnd
const writeEdges = Edge.out | error | hangUp
/** After one of these a read that came short is not the last one: the end or an error is behind it. */
const lastWords = error | hangUp | peerEnd

/** What all transports of a process share. */
export interface EpollShared {
  readonly loop: EpollLoop
  readonly sockets: TcpSockets
  readonly tcpPeer: TcpPeer
  readonly output: Output
  readonly outputMemory: OutputMemory
  /** One read of any socket. */
  readonly readMemory: FixedMemory
}

/** `memory[from..to)` has not been taken by the kernel yet. */
interface Unsent {
  readonly memory: FixedMemory
  from: number
  readonly to: number
  /** Given back to the output when it is sent. */
  readonly block: OutputBlock | null
}

/**
 * A socket that this process reads and writes with calls of its own. It is watched for edges: `mayRead` says that the
 * kernel may have something which nobody took yet, and stays true while reading is paused.
 */
export class EpollTransport implements Transport, Watched {
  owner: TransportOwner = nobody
  pendingBytes = 0
  isQueued = false
  private readonly shared: EpollShared
  /** It is no socket of TCP. */
  private readonly isLocal: boolean
  private socket: number
  private isReading = false
  private isAwaiting = false
  private mayRead = false
  /** A short read is not the last one: urgent data stops a read, the end and errors are behind it. */
  private readsOn = false
  private hasLastWords = false
  private hasEnded = false
  private endsLater = false
  private unsent: Unsent[] | null = null
  private unsentBytes = 0
  /** Bytes of a failed write. */
  private refusedBytes = 0
  /** When it broke: the bytes of the last writes that never left. */
  private lostBytes = 0
  /** A write found the connection broken, with this errno; what the peer said before is read first. 0 = none. */
  private brokenBy = 0
  private known: TransportPeer | null = null

  /** Watched by the loop from here on; `socket` is its own. */
  constructor(shared: EpollShared, socket: number, isLocal = false) {
    this.shared = shared
    this.socket = socket
    this.isLocal = isLocal
  }

  /**
   * What it is watched for. A socket of TCP tells of room only behind a write that found none; a unix socket does
   * whenever its peer has read, an event for each reply, so it is asked only while something waits.
   */
  get edges(): number {
    return this.isLocal && this.unsentBytes === 0 ? readingEdges : everyEdge
  }

  get descriptor(): number {
    return this.socket
  }

  get spliceDescriptor(): number {
    return this.socket
  }

  get isMovable(): boolean {
    return this.socket >= 0
  }

  get isClosed(): boolean {
    return this.socket < 0
  }

  // ---- reading

  resumeReading(): void {
    if (this.isReading || this.hasEnded || this.socket < 0) return
    this.isReading = true
    if (this.mayRead) this.shared.loop.again(this)
  }

  pauseReading(): void {
    this.isReading = false
  }

  awaitReadable(isOn: boolean): void {
    this.isAwaiting = isOn
  }

  onEvents(events: number): void {
    if ((events & readEdges) !== 0) {
      this.mayRead = true
      if ((events & lastWords) !== 0) this.hasLastWords = true
      if ((events & (lastWords | urgent)) !== 0) this.readsOn = true
      if (this.isReading) this.read()
    }
    if (this.unsentBytes > 0 && (events & writeEdges) !== 0 && this.brokenBy === 0) this.flush()
  }

  onTurn(): void {
    if (this.isReading && this.mayRead) this.read()
  }

  /** One full read, or what is there. The rest waits for its turn. */
  private read(): void {
    const { loop, readMemory } = this.shared
    const { calls } = loop
    do {
      if (this.isAwaiting) {
        this.tellReadable()
        return
      }
      const count = calls.recv(this.socket, readMemory)
      if (count <= 0) {
        this.readNothing(count)
        return
      }
      const isFull = count === readMemory.bytes.length
      if (!isFull && !this.readsOn) this.mayRead = false
      this.owner.onBytes(readMemory.bytes, count)
      if (isFull) {
        if (this.isReading && this.socket >= 0) loop.again(this)
        return
      }
    } while (this.mayRead && this.isReading && this.socket >= 0)
  }

  private tellReadable(): void {
    const { loop } = this.shared
    const count = loop.calls.peek(this.socket)
    if (count < 0) {
      // An error is told once, and this was it.
      this.readNothing(count)
      return
    }
    this.owner.onReadable?.()
    if (this.isReading && this.socket >= 0) loop.again(this)
  }

  /** @param count 0 at the end, else -errno */
  private readNothing(count: number): void {
    if (count === -EAGAIN) this.isEmpty()
    else if (count === -EINTR) this.shared.loop.again(this)
    else if (count < 0) this.breakNow(-count)
    else if (this.brokenBy !== 0) this.breakNow(this.brokenBy)
    else {
      this.isReading = false
      this.mayRead = false
      this.hasEnded = true
      this.owner.onEnd()
    }
  }

  private isEmpty(): void {
    this.mayRead = false
    this.readsOn = this.hasLastWords
  }

  // ---- writing

  write(output: Output): boolean {
    const { length } = output
    if (this.socket < 0 || this.brokenBy !== 0) {
      this.refusedBytes += length
      output.clear()
      return false
    }
    if (length === 0) return this.pendingBytes === 0
    const { loop, outputMemory } = this.shared
    // Behind a slow write the bytes are copied, so that the output keeps its memory; the first slow write takes the
    // memory itself.
    if (this.unsentBytes > 0) {
      this.keep(loop.calls.fix(Buffer.from(output.view())), 0, length, null)
      output.clear()
      return false
    }
    const memory = outputMemory.of(output.bytes)
    const sent = loop.calls.send(this.socket, memory, 0, length)
    if (sent === length) {
      output.clear()
      return true
    }
    const left = this.accepted(sent, length)
    if (left >= 0) this.keep(memory, left, length, output.surrender())
    output.clear()
    return false
  }

  writeFrom(bytes: Buffer, length: number): boolean {
    if (this.socket < 0 || this.brokenBy !== 0) return false
    const { calls } = this.shared.loop
    const memory = calls.fix(bytes)
    const sent = this.unsentBytes > 0 ? 0 : calls.send(this.socket, memory, 0, length)
    if (sent === length) return true
    const left = this.accepted(sent, length)
    if (left >= 0) this.keep(memory, left, length, null)
    return false
  }

  /**
   * Bytes that the kernel took, or -1: the write failed, `onClosed` follows in a later turn.
   *
   * @param sent below 0: -errno
   */
  private accepted(sent: number, length: number): number {
    if (sent >= 0) return sent
    if (sent === -EAGAIN || sent === -EINTR) return 0
    this.refusedBytes += length
    setImmediate(() => this.writeBroke(-sent))
    return -1
  }

  private keep(memory: FixedMemory, from: number, to: number, block: OutputBlock | null): void {
    const isFirst = this.unsentBytes === 0
    ;(this.unsent ??= []).push({ memory, from, to, block })
    this.unsentBytes += to - from
    this.pendingBytes = this.unsentBytes
    // tells of room that has come meanwhile, too
    if (isFirst && this.isLocal) this.shared.loop.change(this.socket, this.edges)
  }

  private flush(): void {
    const unsent = this.unsent!
    const { calls } = this.shared.loop
    for (let first = unsent[0]; first !== undefined; first = unsent[0]) {
      const sent = calls.send(this.socket, first.memory, first.from, first.to)
      if (sent < 0) {
        if (sent !== -EAGAIN && sent !== -EINTR) this.writeBroke(-sent)
        return
      }
      first.from += sent
      this.unsentBytes -= sent
      this.pendingBytes = this.unsentBytes
      if (first.from < first.to) return
      unsent.shift()
      if (first.block !== null) this.shared.output.recycle(first.block)
    }
    if (this.isLocal) this.shared.loop.change(this.socket, this.edges)
    if (this.endsLater) this.shared.sockets.shutdown(this.socket)
    this.owner.onDrained()
  }

  /**
   * An answer may have come before the reset that the write met (R25): whoever reads is told of the end by the read
   * behind it, which is sure to come.
   */
  private writeBroke(errno: number): void {
    if (this.socket < 0) return
    if ((errno !== EPIPE && errno !== ECONNRESET) || !this.isReading) {
      this.breakNow(errno)
      return
    }
    this.brokenBy = errno
    // never idle again
    this.pendingBytes = Math.max(1, this.unsentBytes)
    this.mayRead = true
    this.readsOn = true
    this.shared.loop.again(this)
  }

  fateOf(sent: number): Fate {
    const { socket } = this
    const notLeft = socket < 0 ? this.lostBytes : this.notLeft
    if (notLeft >= sent) return Fate.unread
    if (socket < 0 || !this.hasEnded) return Fate.mayBeRead
    return notLeft + this.shared.tcpPeer.unacknowledged(socket) >= sent ? Fate.unacknowledged : Fate.mayBeRead
  }

  get hasPeerEnded(): boolean {
    return this.hasEnded || (this.socket >= 0 && this.shared.tcpPeer.hasPeerEnded(this.socket))
  }

  /** Bytes that the kernel never got. */
  private get notLeft(): number {
    return this.refusedBytes + this.unsentBytes
  }

  // ---- its end

  end(): void {
    if (this.socket < 0) return
    if (this.unsentBytes > 0) this.endsLater = true
    else this.shared.sockets.shutdown(this.socket)
  }

  close(): void {
    const { socket } = this
    if (socket < 0) return
    const { loop, output } = this.shared
    this.socket = -1
    this.isReading = false
    this.pendingBytes = 0
    for (const { block } of this.unsent ?? []) if (block !== null) output.recycle(block)
    this.unsent = null
    this.unsentBytes = 0
    loop.remove(socket)
    loop.calls.close(socket)
  }

  reset(): void {
    if (this.socket >= 0) this.shared.sockets.lingerNot(this.socket)
    this.close()
  }

  release(): void {
    this.close()
  }

  detach(): DetachedTransport {
    const parts = (this.unsent ?? []).map(({ memory, from, to }) => memory.bytes.subarray(from, to))
    const unsent = Buffer.concat(parts)
    this.release()
    return { unsent, state: null }
  }

  private breakNow(errno: number): void {
    if (this.socket < 0) return
    const { owner } = this
    this.lostBytes = this.notLeft
    this.close()
    owner.onClosed(getSystemErrorName(-errno))
  }

  // ---- the peer

  setKeepAlive(delayMs: number): void {
    if (this.socket >= 0) this.shared.sockets.keepAlive(this.socket, Math.max(1, Math.round(delayMs / 1000)))
  }

  get identity(): PeerIdentity {
    return noIdentity
  }

  peer(): TransportPeer {
    if (this.known !== null) return this.known
    const { sockets } = this.shared
    const local = this.socket < 0 ? undefined : sockets.localName(this.socket)
    const remote = this.socket < 0 ? undefined : sockets.peerName(this.socket)
    return (this.known = {
      address: remote?.address ?? '',
      port: remote?.port ?? 0,
      localAddress: local?.address ?? '',
      localPort: local?.port ?? 0,
      identity: noIdentity,
    })
  }
}
