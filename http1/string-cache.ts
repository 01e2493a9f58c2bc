import { latin1Slice } from './latin1.ts'

/**
 * Strings of bytes that keep coming back (methods, paths, hosts), without making a new string each time.
 * Bound: `slots` strings of at most `maxLength` bytes; a newcomer takes the place of the one in its slot. Longer ones
 * are made anew each time.
 */
export class StringCache {
  private readonly strings: string[]
  private readonly mask: number
  private readonly maxLength: number

  /** slots: a power of two. */
  constructor(slots = 512, maxLength = 128) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError(`slots: ${slots} is not a power of two`)
    this.strings = Array.from({ length: slots }, () => '')
    this.mask = slots - 1
    this.maxLength = maxLength
  }

  get(buf: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > this.maxLength) return latin1Slice(buf, start, end)
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (buf[i] as number)) | 0
    const slot = (hash ^ (hash >>> 15)) & this.mask
    const known = this.strings[slot] as string
    if (known.length === length) {
      let i = 0
      while (i < length && known.charCodeAt(i) === buf[start + i]) i++
      if (i === length) return known
    }
    const made = latin1Slice(buf, start, end)
    this.strings[slot] = made
    return made
  }

  /** ASCII letters in lower case. */
  getLowerCase(buf: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > this.maxLength) return latin1Slice(buf, start, end).toLowerCase()
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + lower(buf[i] as number)) | 0
    const slot = (hash ^ (hash >>> 15)) & this.mask
    const known = this.strings[slot] as string
    if (known.length === length) {
      let i = 0
      while (i < length && known.charCodeAt(i) === lower(buf[start + i] as number)) i++
      if (i === length) return known
    }
    const made = latin1Slice(buf, start, end).toLowerCase()
    this.strings[slot] = made
    return made
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}
