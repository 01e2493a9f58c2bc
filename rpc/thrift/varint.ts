/** Numbers of the compact protocol and of THeader: seven bits a byte, the lowest first. */
export class VarintReader {
  at = 0
  value = 0

  /** False where none ends before `end`, or it has more than 32 bits. */
  read(buf: Buffer, end: number): boolean {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= end) return false
      const byte = buf[this.at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        this.value = value
        return value <= 0xff_ff_ff_ff
      }
    }
    return false
  }
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value >>> 0
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
