/**
 * Strings of bytes that keep coming back, services, methods and attribute names, without making each anew. Bounded: a
 * newcomer takes the place of the one in its slot.
 */
export class Names {
  private readonly strings: string[]
  private readonly mask: number
  private readonly maxLength: number

  /** `slots`: a power of two. Longer strings than `maxLength` are made anew each time. */
  constructor(slots = 1024, maxLength = 128) {
    this.strings = Array.from({ length: slots }, () => '')
    this.mask = slots - 1
    this.maxLength = maxLength
  }

  get(buf: Buffer, from: number, to: number): string {
    const length = to - from
    if (length > this.maxLength) return buf.toString('utf8', from, to)
    let hash = length
    for (let at = from; at < to; at++) {
      const byte = buf[at]!
      if (byte >= 0x80) return buf.toString('utf8', from, to)
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const slot = (hash ^ (hash >>> 15)) & this.mask
    const known = this.strings[slot]!
    if (known.length === length) {
      let same = 0
      while (same < length && known.charCodeAt(same) === buf[from + same]) same++
      if (same === length) return known
    }
    const made = buf.toString('latin1', from, to)
    this.strings[slot] = made
    return made
  }
}

/** Whether these bytes may name a service or a method: text without control characters, of a bounded length. */
export function isNameBytes(buf: Buffer, from: number, to: number, maxBytes: number): boolean {
  if (to - from > maxBytes) return false
  for (let at = from; at < to; at++) {
    const byte = buf[at]!
    if (byte < 0x20 || byte === 0x7f) return false
  }
  return true
}

/** Whether the bytes are `name`, which is ASCII in lower case; their own letters may be of either case. */
export function isSameName(buf: Buffer, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false
  for (let at = 0; at < name.length; at++) {
    const byte = buf[from + at]!
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    if (lower !== name.charCodeAt(at)) return false
  }
  return true
}
