import { latin1Slice } from './latin1.ts'

/**
 * Strings of bytes that keep coming back (methods, paths, hosts), without making a new string each time.
 * Bound: `slots` strings of at most `maxLength` bytes; a newcomer takes the place of the one in its slot.
 */
export class StringCache {
  readonly slots: number
  readonly maxLength: number

  constructor(slots = 512, maxLength = 128) {
    this.slots = slots
    this.maxLength = maxLength
  }

  get(buf: Buffer, start: number, end: number): string {
    return latin1Slice(buf, start, end)
  }

  getLowerCase(buf: Buffer, start: number, end: number): string {
    return latin1Slice(buf, start, end).toLowerCase()
  }
}
