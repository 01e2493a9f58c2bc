/**
 * Bytes of protobuf messages (protobuf.dev/programming-guides/encoding), written forwards into a fixed buffer without
 * an object per field. The length of a nested message is known behind it: it gets a varint of fixed width, which every
 * reader takes, as in Perfetto's writer. The caller sees to the room.
 */

/** Lengths of texts and of small messages: up to 16,383. */
const shortLength = 2
/** Lengths of records: up to 2,097,151. */
const longLength = 3
/** Below this a loop over the characters beats the call into the engine. */
const shortText = 24
const twoTo32 = 0x1_0000_0000

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

  /** Up to 2^63; beyond 2^53 to the nearest double. */
  fixed64(value: number): void {
    const high = Math.floor(value / twoTo32)
    this.fixed32(value - high * twoTo32)
    this.fixed32(high)
  }

  fixed32(value: number): void {
    const { bytes } = this
    const at = this.length
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.length = at + 4
  }

  double(value: number): void {
    this.length = this.bytes.writeDoubleLE(value, this.length)
  }

  put(source: Uint8Array): void {
    const { bytes } = this
    let at = this.length
    for (let index = 0; index < source.length; index++) bytes[at++] = source[index]!
    this.length = at
  }

  /** Lower-case hex as bytes, with their number in front. */
  hex(digits: Uint8Array): void {
    const { bytes } = this
    let at = this.length
    bytes[at++] = digits.length >> 1
    for (let index = 0; index < digits.length; index += 2) {
      bytes[at++] = (nibble(digits[index]!) << 4) | nibble(digits[index + 1]!)
    }
    this.length = at
  }

  /** A text and its length. At most `most` characters; lone surrogates become U+FFFD. */
  text(value: string, most: number): void {
    const at = this.length
    this.length = at + shortLength
    this.characters(value, most)
    this.close(at, shortLength)
  }

  /** Without a length. */
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

  /** Begins something with a length; answers where, for `closeShort` or `closeLong`. */
  openShort(): number {
    const at = this.length
    this.length = at + shortLength
    return at
  }
  closeShort(at: number): void {
    this.close(at, shortLength)
  }
  openLong(): number {
    const at = this.length
    this.length = at + longLength
    return at
  }
  closeLong(at: number): void {
    this.close(at, longLength)
  }

  private close(at: number, width: number): void {
    let length = this.length - at - width
    const { bytes } = this
    for (let index = 0; index < width - 1; index++) {
      bytes[at + index] = (length & 0x7f) | 0x80
      length >>>= 7
    }
    bytes[at + width - 1] = length
  }
}

function nibble(digit: number): number {
  return digit < 58 ? digit - 48 : digit - 87
}
