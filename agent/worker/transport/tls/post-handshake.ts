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
  /** Of a message whose rest is in the next record. */
  partial: Buffer = nothing
  private readonly role: TlsRole

  constructor(role: TlsRole) {
    this.role = role
  }

  get isAmidMessage(): boolean {
    return this.partial.length > 0
  }

  restore(partial: Buffer, owesUpdate: boolean): void {
    this.partial = partial
    this.owesUpdate = owesUpdate
  }

  /** Content of one record. `update`: the peer's keys change with the next record. Else the fault in it, or null. */
  take(content: Buffer): 'update' | AlertName | null {
    if (content.length === 0) return 'unexpected_message'
    const bytes = this.partial.length === 0 ? content : Buffer.concat([this.partial, content])
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
    this.partial = at === bytes.length ? nothing : Buffer.from(bytes.subarray(at))
    return result
  }

  /** A KeyUpdate that asks for none; answers its length. */
  writeUpdate(into: Buffer): number {
    this.owesUpdate = false
    into.writeUInt32BE((keyUpdate << 24) | 1)
    into[4] = 0
    return messageHeader + 1
  }
}
