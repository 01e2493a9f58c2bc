import type { TlsRole } from './tls-shared.ts'
import type { AlertName } from './words.ts'

/** Types of handshake messages (RFC 8446 section 4). */
const newSessionTicket = 4
const keyUpdate = 24
const messageHeader = 4
/** A ticket may hold a whole certificate chain of ours. */
const maxMessageBytes = 65_536
const nothing = Buffer.alloc(0)

/**
 * Handshake messages behind the handshake: tickets, which are not used (a resumed connection would skip the
 * certificate), and KeyUpdate. Everything else is refused.
 */
export class PostHandshake {
  /** The peer asked for new keys of ours: they come before our next content (section 4.6.3). */
  owesUpdate = false
  /** Holds a message whose rest is in a later record, and grows with what comes of it. */
  private memory: Buffer = nothing
  private held = 0
  private readonly role: TlsRole

  constructor(role: TlsRole) {
    this.role = role
  }

  get isAmidMessage(): boolean {
    return this.held > 0
  }

  /** What came of that message. */
  get partial(): Buffer {
    return this.memory.subarray(0, this.held)
  }

  restore(partial: Buffer, owesUpdate: boolean): void {
    this.hold(partial)
    this.owesUpdate = owesUpdate
  }

  /** Content of one record. `update`: the peer's keys change with the next record. Else the fault in it, or null. */
  take(content: Buffer): 'update' | AlertName | null {
    if (content.length === 0) return 'unexpected_message'
    const bytes = this.held === 0 ? content : this.hold(content)
    let at = 0
    let result: 'update' | null = null
    while (bytes.length - at >= messageHeader) {
      const length = bytes.readUIntBE(at + 1, 3)
      const type = bytes[at]
      const isExpected = type === keyUpdate || (type === newSessionTicket && this.role === 'client')
      if (!isExpected || length > maxMessageBytes) return 'unexpected_message'
      const end = at + messageHeader + length
      if (end > bytes.length) break
      if (type === keyUpdate) {
        const asks = bytes[at + messageHeader]
        if (length !== 1) return 'decode_error'
        if (asks! > 1) return 'illegal_parameter'
        // the keys change here, so nothing may follow in this record
        if (end !== bytes.length) return 'unexpected_message'
        if (asks === 1) this.owesUpdate = true
        result = 'update'
      }
      at = end
    }
    if (at > 0 || this.held === 0) {
      const rest = bytes.subarray(at)
      this.held = 0
      this.hold(rest)
    }
    return result
  }

  /** Keeps a copy behind what is held; answers all of it. */
  private hold(bytes: Buffer): Buffer {
    const length = this.held + bytes.length
    if (length === 0) this.memory = nothing
    else if (length > this.memory.length || this.held === 0) {
      const grown = Buffer.allocUnsafe(this.held === 0 ? length : Math.max(length, 2 * this.held))
      this.memory.copy(grown, 0, 0, this.held)
      this.memory = grown
    }
    bytes.copy(this.memory, this.held)
    this.held = length
    return this.partial
  }

  /** A KeyUpdate that asks for none; answers its length. */
  writeUpdate(into: Buffer): number {
    this.owesUpdate = false
    into.writeUInt32BE((keyUpdate << 24) | 1)
    into[4] = 0
    return messageHeader + 1
  }
}
