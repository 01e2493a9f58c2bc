/**
 * Bytes of protobuf messages (protobuf.dev/programming-guides/encoding), written forwards into a fixed buffer without
 * an object per field. The length of a nested message is known behind it: it gets a varint of fixed width, which every
 * reader takes, as in Perfetto's writer. The caller sees to the room.
 */

/** Lengths of texts and of small messages: up to 16,383. */
const shortLength = 2
/** Below this a loop over the characters beats the call into the engine. */
const shortText = 48
/** The same of bytes. */
const longBytes = 32
const twoTo28 = 0x1000_0000
const twoTo32 = 0x1_0000_0000
/** Of `setVarint`: room for 2^53. */
export const wideVarintBytes = 8

export class ProtoBytes {
  readonly bytes: Buffer
  length = 0

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  get room(): number {
    return this.bytes.length - this.length
  }

  byte(value: number): void {
    this.bytes[this.length++] = value
  }

  /** A whole number from 0 to 2^53. */
  varint(value: number): void {
    const { bytes } = this
    let at = this.length
    while (value >= 0x80) {
      bytes[at++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    bytes[at++] = value
    this.length = at
  }

  private setFixed32(at: number, value: number): void {
    const { bytes } = this
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
  }

  /** Up to 2^63; beyond 2^53 to the nearest double. */
  setFixed64(at: number, value: number): void {
    const high = Math.floor(value / twoTo32)
    this.setFixed32(at, value - high * twoTo32)
    this.setFixed32(at + 4, high)
  }

  setByte(at: number, value: number): void {
    this.bytes[at] = value
  }

  /** A length of two bytes, up to 16,383. */
  setShort(at: number, length: number): void {
    this.bytes[at] = (length & 0x7f) | 0x80
    this.bytes[at + 1] = length >>> 7
  }

  /** A whole number from 0 to 2^53, as wide as any. */
  setVarint(at: number, value: number): void {
    const high = value < twoTo28 ? 0 : Math.floor(value / twoTo28)
    this.setPart(at, value - high * twoTo28, 0x80)
    this.setPart(at + 4, high, 0)
  }

  private setPart(at: number, part: number, last: number): void {
    const { bytes } = this
    bytes[at] = (part & 0x7f) | 0x80
    bytes[at + 1] = ((part >>> 7) & 0x7f) | 0x80
    bytes[at + 2] = ((part >>> 14) & 0x7f) | 0x80
    bytes[at + 3] = ((part >>> 21) & 0x7f) | last
  }

  setDouble(at: number, value: number): void {
    this.bytes.writeDoubleLE(value, at)
  }

  put(source: Uint8Array): void {
    this.setBytes(this.length, source)
    this.length += source.length
  }

  /** 32 bits, big-endian: of what control reads and no collector. */
  setCount(at: number, value: number): void {
    const { bytes } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  /** The first `length` bytes of what is too long for a loop. */
  putLong(source: Buffer, length: number): void {
    this.length += source.copy(this.bytes, this.length, 0, length)
  }

  /** Lower-case hex, as bytes. */
  setHex(at: number, digits: Uint8Array): void {
    const { bytes } = this
    for (let index = 0; index < digits.length; index += 2) {
      bytes[at++] = (nibbles[digits[index]!]! << 4) | nibbles[digits[index + 1]!]!
    }
  }

  setBytes(at: number, source: Uint8Array): void {
    const { bytes } = this
    if (source.length > longBytes) {
      bytes.set(source, at)
      return
    }
    for (let index = 0; index < source.length; index++) bytes[at++] = source[index]!
  }

  /** A field of `length` bytes below 128, with room for them. Answers where they begin. */
  field(tag: number, length: number): number {
    this.byte(tag)
    this.byte(length)
    const at = this.length
    this.length = at + length
    return at
  }

  /** What was written before from `from` to `to`. */
  again(from: number, to: number): void {
    const { bytes } = this
    let at = this.length
    for (let index = from; index < to; index++) bytes[at++] = bytes[index]!
    this.length = at
  }

  /** A whole number from 0 on, as text. */
  decimal(value: number): void {
    if (value > 999) {
      this.characters(String(value), 16)
      return
    }
    const hundreds = (value / 100) | 0
    const tens = ((value / 10) | 0) % 10
    if (hundreds > 0) this.byte(0x30 + hundreds)
    if (value >= 10) this.byte(0x30 + tens)
    this.byte(0x30 + (value % 10))
  }

  /** At most `most` characters; lone surrogates become U+FFFD. Without a length. */
  characters(value: string, most: number): void {
    const text = value.length > most ? value.slice(0, most) : value
    const { bytes } = this
    let at = this.length
    if (text.length <= shortText) {
      let index = 0
      for (; index < text.length; index++) {
        const code = text.charCodeAt(index)
        if (code >= 0x80) break
        bytes[at++] = code
      }
      if (index === text.length) {
        this.length = at
        return
      }
    }
    this.length += bytes.write(text, this.length, 'utf8')
  }

  /** Begins something with a length; answers where, for `closeShort`. */
  openShort(): number {
    const at = this.length
    this.length = at + shortLength
    return at
  }
  closeShort(at: number): void {
    this.setShort(at, this.length - at - shortLength)
  }
}

/** By digit of lower-case hex. */
const nibbles = Uint8Array.from({ length: 256 }, (_, digit) => (digit & 15) + 9 * (digit >> 6))
