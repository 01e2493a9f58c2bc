import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { Output } from '../output.ts'
import { Fate, nobody } from '../transport.ts'
import type { DetachedTransport, Transport, TransportOwner, TransportPeer } from '../transport.ts'
import { PostHandshake } from './post-handshake.ts'
import type { TlsRole, TlsShared, TlsStart, TlsState } from './tls-shared.ts'
import type { TrafficKeys } from './traffic-keys.ts'
import { Alert, ContentType, headerBytes, maxContentBytes, maxSealedBytes, tlsStateKind } from './words.ts'
import type { AlertName } from './words.ts'

/** AES-GCM is safe for 2^24.5 records under one key (RFC 8446 section 5.5). */
const maxRecordsPerKey = 2 ** 23
/** Records in a row without content: more are a flood. */
const maxIdleRecords = 32
const nothing = Buffer.alloc(0)
/**
 * TLS 1.3 after its handshake, over any transport: records are sealed and opened here, so that the connection is its
 * socket and a kilobyte of state, and goes on in another process (docs/decisions/0049).
 */
export class TlsTransport implements Transport, TransportOwner {
  owner: TransportOwner = nobody
  readonly spliceDescriptor = -1
  private readonly shared: TlsShared
  private readonly inner: Transport
  private readonly role: TlsRole
  private readonly sending: TrafficKeys
  private readonly receiving: TrafficKeys
  readonly identity: PeerIdentity
  private readonly messages: PostHandshake
  /** A part of a record, or records that nobody asked for yet. */
  private held: Buffer
  private openedBytes = 0
  private idleRecords = 0
  private isReading = false
  private isPlanned = false
  private isOver = false
  /** close_notify came. */
  private hasEnd = false
  private hasToldEnd = false
  private hasSentEnd = false
  private fault: AlertName | null = null
  private peerAlert = -1
  /** Of the last two writes, for `fateOf`: content, and what it became. */
  private lastContent = 0
  private lastSealed = 0
  private earlierContent = 0
  private earlierSealed = 0
  private refusedBytes = 0
  private known: TransportPeer | null = null

  /** `inner` is paused, and this transport's own from here on. */
  constructor(shared: TlsShared, inner: Transport, start: TlsStart) {
    this.shared = shared
    this.inner = inner
    this.role = start.role
    this.sending = start.sending
    this.receiving = start.receiving
    this.identity = start.identity
    this.held = start.held
    this.messages = new PostHandshake(start.role)
    inner.owner = this
  }

  /** Goes on where another process left it. */
  restore(state: TlsState): void {
    this.hasEnd = state.hasEnd
    this.hasToldEnd = state.hasToldEnd
    this.hasSentEnd = state.hasSentEnd
    this.messages.restore(Buffer.from(state.message, 'base64'), state.owesUpdate)
    const unsent = Buffer.from(state.unsent, 'base64')
    if (unsent.length === 0) return
    this.shared.records.append(unsent)
    this.inner.write(this.shared.records)
  }

  get descriptor(): number {
    return this.inner.descriptor
  }

  get isMovable(): boolean {
    return !this.isOver && this.inner.isMovable
  }

  get isClosed(): boolean {
    return this.isOver || this.inner.isClosed
  }

  get pendingBytes(): number {
    return this.inner.pendingBytes
  }

  get hasPeerEnded(): boolean {
    return this.hasEnd || this.inner.hasPeerEnded
  }

  // ---- reading

  resumeReading(): void {
    if (this.isReading || this.isOver) return
    this.isReading = true
    if (this.held.length > 0 || (this.hasEnd && !this.hasToldEnd)) this.plan()
    else this.inner.resumeReading()
  }

  pauseReading(): void {
    this.isReading = false
    this.inner.pauseReading()
  }

  /** Every byte has to be opened first: it goes on with `onBytes`. */
  awaitReadable(): void {}

  /** What is here already is handed over in a later turn, before anything else is read. */
  private plan(): void {
    if (this.isPlanned) return
    this.isPlanned = true
    setImmediate(() => {
      this.isPlanned = false
      if (!this.isReading || this.isOver) return
      const { held } = this
      this.held = nothing
      this.takeRecords(held, 0, held.length)
      if (this.isReading && !this.isOver) this.inner.resumeReading()
    })
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.hasEnd) return
    const from = this.held.length > 0 ? this.completeHeld(bytes, length) : 0
    this.takeRecords(bytes, from, length)
  }

  /** Joins the record that came in part with what follows; answers how much of `bytes` that took. */
  private completeHeld(bytes: Buffer, length: number): number {
    const { joined } = this.shared
    let have = this.held.copy(joined)
    let at = 0
    const fill = (wanted: number): boolean => {
      const count = Math.min(wanted - have, length - at)
      bytes.copy(joined, have, at, at + count)
      have += count
      at += count
      return have === wanted
    }
    const isWhole =
      (have >= headerBytes || fill(headerBytes)) &&
      this.checkHeader(joined, 0) &&
      fill(headerBytes + joined.readUInt16BE(3))
    if (this.fault !== null) return length
    if (!isWhole) {
      this.held = Buffer.from(joined.subarray(0, have))
      return length
    }
    this.held = nothing
    this.openRecord(joined, 0, have)
    return at
  }

  private takeRecords(bytes: Buffer, from: number, to: number): void {
    let at = from
    while (to - at >= headerBytes && this.isOpening) {
      if (!this.checkHeader(bytes, at)) break
      const end = at + headerBytes + bytes.readUInt16BE(at + 3)
      if (end > to) break
      this.openRecord(bytes, at, end)
      at = end
    }
    if (at < to && this.isOpening) this.held = Buffer.from(bytes.subarray(at, to))
    this.handOver()
  }

  private get isOpening(): boolean {
    return this.fault === null && this.peerAlert < 0 && !this.hasEnd
  }

  /** After the handshake every record is an encrypted one. */
  private checkHeader(bytes: Buffer, at: number): boolean {
    const size = bytes.readUInt16BE(at + 3)
    if (bytes[at] !== ContentType.applicationData || bytes[at + 1] !== 3) this.fault = 'unexpected_message'
    else if (size > maxSealedBytes) this.fault = 'record_overflow'
    else if (size <= 16) this.fault = 'bad_record_mac'
    return this.fault === null
  }

  private openRecord(bytes: Buffer, at: number, end: number): void {
    const { opened } = this.shared
    const { receiving } = this
    const from = this.openedBytes
    if (!receiving.cipher.open(receiving.number++, bytes, at + headerBytes, end, opened, from)) {
      this.fault = 'bad_record_mac'
      return
    }
    let last = from + end - at - headerBytes - 17
    while (last >= from && opened[last] === 0) last--
    const length = last - from
    if (length < 0) this.fault = 'unexpected_message'
    else if (length > maxContentBytes) this.fault = 'record_overflow'
    else if (opened[last] === ContentType.applicationData && length > 0 && !this.messages.isAmidMessage) {
      this.openedBytes = last
      this.idleRecords = 0
    } else if (++this.idleRecords > maxIdleRecords) this.fault = 'unexpected_message'
    else this.takeOther(opened[last]!, opened.subarray(from, last))
  }

  private takeOther(type: number, content: Buffer): void {
    if (type === ContentType.handshake) {
      const result = this.messages.take(content)
      if (result === 'update') this.receiving.update()
      else if (result !== null) this.fault = result
    } else if (type === ContentType.alert && content.length === 2 && !this.messages.isAmidMessage) {
      if (content[1] === Alert.close_notify) this.hasEnd = true
      else if (content[1] !== Alert.user_canceled) this.peerAlert = content[1]!
    } else if (type !== ContentType.applicationData || content.length > 0) this.fault = 'unexpected_message'
  }

  private handOver(): void {
    const length = this.openedBytes
    this.openedBytes = 0
    if (length > 0) this.owner.onBytes(this.shared.opened, length)
    if (this.isOver) return
    if (this.fault !== null) this.fail(this.fault)
    else if (this.peerAlert >= 0) {
      this.shared.events.onPeerAlert(this.role, this.peerAlert)
      this.finish('EPROTO')
    } else if (this.hasEnd && !this.hasToldEnd && this.isReading) {
      this.hasToldEnd = true
      this.owner.onEnd()
    }
  }

  onEnd(): void {
    if (this.hasEnd) return
    this.shared.events.onTruncated(this.role)
    this.finish('ECONNRESET')
  }

  onDrained(): void {
    this.owner.onDrained()
  }

  onClosed(reason: string): void {
    if (this.isOver) return
    this.leave()
    this.owner.onClosed(reason)
  }

  // ---- writing

  write(output: Output): boolean {
    const { length } = output
    if (this.isOver || this.hasSentEnd) {
      this.refusedBytes += length
      output.clear()
      return false
    }
    if (length === 0) return this.inner.pendingBytes === 0
    const isTaken = this.send(output.bytes, length)
    output.clear()
    return isTaken
  }

  writeFrom(memory: Buffer, length: number): boolean {
    return !this.isOver && !this.hasSentEnd && this.send(memory, length)
  }

  private send(bytes: Buffer, length: number): boolean {
    const { records } = this.shared
    for (let from = 0; from < length; from += maxContentBytes) {
      if (this.messages.owesUpdate || this.sending.number >= maxRecordsPerKey) this.sealUpdate()
      this.seal(ContentType.applicationData, bytes, from, Math.min(length, from + maxContentBytes))
    }
    this.earlierContent = this.lastContent
    this.earlierSealed = this.lastSealed
    this.lastContent = length
    this.lastSealed = records.length
    return this.inner.write(records)
  }

  private seal(type: number, source: Buffer, from: number, to: number): void {
    const { records } = this.shared
    const size = to - from + 17
    records.room(headerBytes + size)
    const { bytes } = records
    const at = records.length
    bytes[at] = ContentType.applicationData
    bytes[at + 1] = 3
    bytes[at + 2] = 3
    bytes[at + 3] = size >> 8
    bytes[at + 4] = size & 255
    const { sending } = this
    sending.cipher.seal(sending.number++, source, from, to, type, bytes, at + headerBytes)
    records.length = at + headerBytes + size
  }

  /** Ours, or the answer to the peer's: both end the present keys. */
  private sealUpdate(): void {
    const length = this.messages.writeUpdate(this.shared.small)
    this.seal(ContentType.handshake, this.shared.small, 0, length)
    this.sending.update()
  }

  private sealAlert(code: number): void {
    const { small } = this.shared
    small[0] = code === Alert.close_notify ? 1 : 2
    small[1] = code
    this.seal(ContentType.alert, small, 0, 2)
  }

  fateOf(sent: number): Fate {
    if (this.refusedBytes >= sent) return Fate.unread
    if (sent === this.lastContent) return this.inner.fateOf(this.lastSealed)
    if (sent === this.lastContent + this.earlierContent) return this.inner.fateOf(this.lastSealed + this.earlierSealed)
    return Fate.mayBeRead
  }

  // ---- its end

  end(): void {
    if (this.isOver || this.hasSentEnd) return
    this.hasSentEnd = true
    this.sealAlert(Alert.close_notify)
    this.inner.write(this.shared.records)
    this.inner.end()
  }

  close(): void {
    if (this.isOver) return
    if (!this.hasSentEnd && !this.inner.isClosed && this.inner.pendingBytes === 0) {
      this.sealAlert(Alert.close_notify)
      this.inner.write(this.shared.records)
    }
    this.leave()
    this.inner.close()
  }

  reset(): void {
    this.leave()
    this.inner.reset()
  }

  release(): void {
    this.leave()
    this.inner.release()
  }

  detach(): DetachedTransport {
    const unsent = this.inner.detach().unsent.toString('base64')
    const { hasEnd, hasSentEnd, hasToldEnd, identity, role, sending } = this
    const body: TlsState = {
      version: 1,
      suite: sending.suite.name,
      role,
      sending: sending.leave(),
      receiving: this.receiving.leave(),
      identity,
      held: this.held.toString('base64'),
      message: this.messages.partial.toString('base64'),
      owesUpdate: this.messages.owesUpdate,
      unsent,
      hasEnd,
      hasToldEnd,
      hasSentEnd,
    }
    this.isOver = true
    return { unsent: nothing, state: { kind: tlsStateKind, body } }
  }

  /** The peer broke the protocol: it is told how, and gets nothing more. */
  private fail(alert: AlertName): void {
    this.shared.events.onFault(this.role, alert)
    if (!this.hasSentEnd) {
      this.sealAlert(Alert[alert])
      this.inner.write(this.shared.records)
    }
    this.finish('EPROTO')
  }

  private finish(reason: string): void {
    const { owner } = this
    this.leave()
    this.inner.close()
    owner.onClosed(reason)
  }

  /** Nothing is sealed or opened from here on, and no key is left. */
  private leave(): void {
    if (this.isOver) return
    this.isOver = true
    this.isReading = false
    this.sending.free()
    this.receiving.free()
    this.held = nothing
  }

  // ---- the peer

  setKeepAlive(delayMs: number): void {
    this.inner.setKeepAlive(delayMs)
  }

  peer(): TransportPeer {
    return (this.known ??= { ...this.inner.peer(), identity: this.identity })
  }
}
