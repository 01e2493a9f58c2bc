import type { ExchangeState } from './exchange-state.ts'
import { writeRandomHex } from './random-hex.ts'

/** Envoy's name for it. */
export const requestIdField = 'x-request-id'

const length = 36
const versionAt = 14
const variantAt = 19
const variants = Buffer.from('89ab', 'latin1')

/**
 * The `x-request-id` that we give to a request without one: the text of a UUID of version 4 (RFC 9562 section 5.4), the
 * same in all its attempts and copies. It tells requests apart and is no secret. Reused with its request; the bytes are
 * those of the field, so that a codec copies them.
 */
export class RequestId {
  readonly bytes: Buffer = Buffer.from('-'.repeat(length), 'latin1')
  isThere = false
  /** An endpoint gets it with the request, or the caller with our answer. */
  isSent = false

  begin(random: () => number): void {
    const { bytes } = this
    writeRandomHex(bytes, 0, 8, random)
    writeRandomHex(bytes, 9, 4, random)
    writeRandomHex(bytes, versionAt + 1, 3, random)
    writeRandomHex(bytes, variantAt + 1, 3, random)
    writeRandomHex(bytes, 24, 12, random)
    bytes[versionAt] = 0x34
    bytes[variantAt] = variants[(random() * 4) | 0]!
    this.isThere = true
  }

  /** For the log: what was sent; undefined = nothing of ours. */
  get text(): string | undefined {
    return this.isSent ? this.bytes.toString('latin1') : undefined
  }

  /** For a copy, which may outlive the request. */
  copy(): RequestId {
    const copied = new RequestId()
    this.bytes.copy(copied.bytes)
    copied.isThere = this.isThere
    return copied
  }

  get state(): ExchangeState['requestId'] {
    return this.isThere ? { text: this.bytes.toString('latin1'), isSent: this.isSent } : null
  }

  restore(state: ExchangeState['requestId']): void {
    if (state === null) return
    this.bytes.write(state.text, 'latin1')
    this.isThere = true
    this.isSent = state.isSent
  }

  reset(): void {
    this.isThere = false
    this.isSent = false
  }
}
