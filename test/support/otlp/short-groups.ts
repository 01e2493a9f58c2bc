import { RecordBlock } from '../../../agent/control/telemetry/record-block.ts'
import { groupsIn } from '../../../agent/control/telemetry/receiver.ts'
import type { RecordGroup } from '../../../agent/control/telemetry/envelope.ts'
import type { ShortGroup } from '../../../agent/control/telemetry/short-records.ts'
import { recordHeadBytes, shortHeadBytes, signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'

/** The records of a worker's frame, whole. */
export function groupsOf(frame: Buffer): RecordGroup[] {
  const block = new RecordBlock()
  for (const group of groupsIn(frame.subarray(4)))
    if (!block.add(group)) throw new RangeError('more than fits into one request')
  return block.groups
}

/** Records that share nothing. */
export function shortGroup(service: string, records: readonly Buffer[], count = records.length): ShortGroup {
  const parts = records.map((record) => {
    const head = Buffer.alloc(shortHeadBytes)
    head.writeUInt32BE(record.length, 8)
    return Buffer.concat([head, record])
  })
  const length = records.reduce((sum, record) => sum + recordHeadBytes + record.length, 0)
  return { service, count, length, bytes: Buffer.concat(parts) }
}

/** As a worker sends it. */
export function frameOf(signal: Signal, { bytes, count, length, service }: ShortGroup): Buffer {
  const name = Buffer.from(service)
  const numbers = Buffer.alloc(12)
  numbers.writeUInt32BE(count)
  numbers.writeUInt32BE(length, 4)
  numbers.writeUInt32BE(bytes.length, 8)
  const rest = Buffer.concat([Buffer.from([signals.indexOf(signal), name.length]), name, numbers, bytes])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(rest.length)
  return Buffer.concat([head, rest])
}
