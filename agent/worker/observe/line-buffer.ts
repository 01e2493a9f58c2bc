/** Bytes of log lines on their way to the file: filled by copying characters, without a string per line. */

/** Below this a loop over the characters beats the call into the engine. */
const shortText = 16
const lineEnd = 10
const quote = 34
const backslash = 92
const questionMark = 63
const hexDigits = Buffer.from('0123456789abcdef')

export class LineBuffer {
  readonly bytes: Buffer
  length = 0

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  /** Whether `count` more bytes fit. */
  hasRoom(count: number): boolean {
    return this.length + count <= this.bytes.length
  }

  /** Lines whose end is at `from` or behind it. */
  linesFrom(from: number): number {
    const { bytes, length } = this
    let count = 0
    for (let at = bytes.indexOf(lineEnd, from); at >= 0 && at < length; at = bytes.indexOf(lineEnd, at + 1)) count++
    return count
  }

  /** Characters above 255 are cut to their low byte; what comes from the wire has none. */
  put(text: string): void {
    const { bytes } = this
    const count = text.length
    let at = this.length
    this.length = at + count
    if (count > shortText) {
      bytes.write(text, at, count, 'latin1')
      return
    }
    for (let index = 0; index < count; index++) bytes[at++] = text.charCodeAt(index)
  }

  byte(value: number): void {
    this.bytes[this.length++] = value
  }

  /**
   * What a caller wrote must not end the quotes or the line (R32): quotes and backslashes get a backslash, control
   * characters are written `\\x0a`. Takes up to four bytes for one.
   */
  putClean(text: string): void {
    const { bytes } = this
    let at = this.length
    for (let index = 0; index < text.length; index++) {
      const byte = text.charCodeAt(index)
      if (byte < 32 || byte === 127) {
        bytes[at++] = backslash
        bytes[at++] = 120
        bytes[at++] = hexDigits[byte >> 4]!
        bytes[at++] = hexDigits[byte & 15]!
        continue
      }
      if (byte === quote || byte === backslash) bytes[at++] = backslash
      bytes[at++] = byte > 255 ? questionMark : byte
    }
    this.length = at
  }
}
