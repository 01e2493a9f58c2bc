/** Whole numbers without sign of 1 to 4 bytes. */

export function readNumber(buf: Buffer, at: number, bytes: number, isLittle: boolean): number {
  switch (bytes) {
    case 1:
      return buf[at]!
    case 2:
      return isLittle ? buf[at]! | (buf[at + 1]! << 8) : (buf[at]! << 8) | buf[at + 1]!
    case 4:
      return isLittle
        ? (buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16) | (buf[at + 3]! << 24)) >>> 0
        : ((buf[at]! << 24) | (buf[at + 1]! << 16) | (buf[at + 2]! << 8) | buf[at + 3]!) >>> 0
    default:
      return isLittle ? buf.readUIntLE(at, bytes) : buf.readUIntBE(at, bytes)
  }
}

export function writeNumber(buf: Buffer, value: number, at: number, bytes: number, isLittle: boolean): void {
  let rest = value
  for (let n = 0; n < bytes; n++) {
    buf[isLittle ? at + n : at + bytes - 1 - n] = rest & 0xff
    rest >>>= 8
  }
}
