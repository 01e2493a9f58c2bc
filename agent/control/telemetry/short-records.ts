/** Records as workers send them (`contracts/telemetry.ts`): what some have in common stands there once. */
import { longestRecordBytes, recordTag, recordHeadBytes, shortHeadBytes } from '../../../contracts/telemetry.ts'

/** Of one service. */
export interface ShortGroup {
  readonly service: string
  readonly count: number
  /** Bytes of the records when they are whole. */
  readonly length: number
  readonly bytes: Buffer
}

/**
 * Writes whole records into `memory` from `at` on; answers where they end. Throws a RangeError where what a worker said
 * does not fit together or has no room; what stands behind `at` means nothing then.
 */
export function putWhole(memory: Buffer, at: number, bytes: Buffer): number {
  let from = 0
  while (from < bytes.length) {
    if (from + shortHeadBytes > bytes.length) throw new RangeError('a record without its head')
    const sharedAt = bytes.readUInt32BE(from)
    const sharedLength = bytes.readUInt32BE(from + 4)
    const ownLength = bytes.readUInt32BE(from + 8)
    from += shortHeadBytes
    const ownAt = sharedAt === from ? from + sharedLength : from
    const sharedTo = sharedAt + sharedLength
    const to = ownAt + ownLength
    if (to > bytes.length || sharedTo > bytes.length) throw new RangeError('a record that is longer than its group')
    const length = sharedLength + ownLength
    if (length > longestRecordBytes || at + recordHeadBytes + length > memory.length)
      throw new RangeError(`a record of ${length} bytes, for which there is no room`)
    memory[at] = recordTag
    memory[at + 1] = (length & 0x7f) | 0x80
    memory[at + 2] = ((length >>> 7) & 0x7f) | 0x80
    memory[at + 3] = length >>> 14
    at += recordHeadBytes
    if (sharedLength > 0) at += bytes.copy(memory, at, sharedAt, sharedTo)
    at += bytes.copy(memory, at, ownAt, to)
    from = to
  }
  return at
}
