/**
 * Records on their way to control: one batch fills while another one is sent. Goes out 200 ms after its first record or
 * at 192 KiB (480 KiB of whole records), whichever comes first; a record that finds both full is dropped and counted,
 * so a control or a collector that does not take them costs this memory and nothing else.
 */
import {
  frameHeadBytes,
  groupHeadBytes,
  maxTelemetryFrameBytes,
  recordHeadBytes,
  signals,
} from '../../../../contracts/telemetry.ts'
import type { Signal } from '../../../../contracts/telemetry.ts'
import { maxValueLength } from './attributes.ts'
import { ProtoBytes } from './proto-bytes.ts'

const capacity = 512 * 1024
const flushBytes = 192 * 1024
/** Of whole records: what control takes in one frame, and where one goes out, so that two of them fill a request. */
const wholeCapacity = maxTelemetryFrameBytes
const flushWholeBytes = 480 * 1024
const flushMs = 200
const maxNameBytes = 255
/** No record takes more: three bytes a character of the longest values, and what stands around them. */
const maxRecordBytes = 48 * maxValueLength

export interface OutboxDeps {
  readonly signal: Signal
  /**
   * False = there is nobody to take it now; the bytes are the caller's again at once. Otherwise `done` follows, and
   * until then they must not change.
   */
  readonly send: (bytes: Buffer, done: () => void) => boolean
  readonly onDropped: (count: number) => void
}

export class Outbox {
  private readonly deps: OutboxDeps
  private filling: ProtoBytes | undefined
  private spare: ProtoBytes | undefined
  private isSending = false
  private timer: NodeJS.Timeout | undefined
  /** Of the group that is open: its service and where its counts stand. */
  private service = ''
  private countAt = -1
  private count = 0
  private whole = 0
  private batchCount = 0
  private batchWhole = 0
  /** Of the group that is open: another number than any before, and where its records begin. */
  group = 0
  groupFrom = 0

  constructor(deps: OutboxDeps) {
    this.deps = deps
  }

  /** Where a record of that service may be written, or undefined: then it is lost. `wrote` follows. */
  begin(service: string): ProtoBytes | undefined {
    this.filling ??= new ProtoBytes(capacity)
    if (!this.hasRoom(this.filling)) {
      this.flush()
      if (!this.hasRoom(this.filling)) {
        this.deps.onDropped(1)
        return undefined
      }
    }
    const into = this.filling
    if (this.countAt < 0 || service !== this.service) this.openGroup(into, service)
    return into
  }

  private hasRoom(filling: ProtoBytes): boolean {
    return filling.room >= maxRecordBytes && wholeCapacity - this.batchWhole >= maxRecordBytes
  }

  /** @param length of the whole record, without its head. */
  wrote(length: number): void {
    this.count++
    this.batchCount++
    this.whole += recordHeadBytes + length
    this.batchWhole += recordHeadBytes + length
    if (this.isDue(this.filling!) && !this.isSending) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), flushMs).unref()
  }

  private isDue(filling: ProtoBytes): boolean {
    return filling.length >= flushBytes || this.batchWhole >= flushWholeBytes
  }

  private openGroup(into: ProtoBytes, service: string): void {
    this.closeGroup(into)
    if (into.length === 0) {
      into.length = frameHeadBytes
      into.bytes[4] = signals.indexOf(this.deps.signal)
    }
    const length = Math.min(maxNameBytes, service.length)
    into.byte(length)
    into.length += into.bytes.write(service, into.length, length, 'latin1')
    this.service = service
    this.countAt = into.length
    this.count = 0
    this.whole = 0
    into.length += groupHeadBytes - 1
    this.group++
    this.groupFrom = into.length
  }

  private closeGroup(into: ProtoBytes): void {
    if (this.countAt < 0) return
    into.bytes.writeUInt32BE(this.count, this.countAt)
    into.bytes.writeUInt32BE(this.whole, this.countAt + 4)
    into.bytes.writeUInt32BE(into.length - this.groupFrom, this.countAt + 8)
    this.countAt = -1
  }

  /** Sends what waits, unless something is under way. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const { filling } = this
    if (this.isSending || filling === undefined || this.batchCount === 0) return
    this.closeGroup(filling)
    filling.bytes.writeUInt32BE(filling.length - 4, 0)
    if (!this.deps.send(filling.bytes.subarray(0, filling.length), () => this.sent(filling))) {
      // kept for the next time, as long as there is room
      this.timer = setTimeout(() => this.flush(), flushMs).unref()
      return
    }
    this.isSending = true
    this.filling = this.spare ?? new ProtoBytes(capacity)
    this.spare = undefined
    this.filling.length = 0
    this.batchCount = 0
    this.batchWhole = 0
  }

  private sent(batch: ProtoBytes): void {
    this.isSending = false
    const { filling } = this
    // closed meanwhile
    if (filling === undefined) return
    this.spare = batch
    if (this.isDue(filling)) this.flush()
    else if (this.batchCount > 0) this.timer ??= setTimeout(() => this.flush(), flushMs).unref()
  }

  /** Gives the memory back, and forgets what waits. */
  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.batchCount > 0) this.deps.onDropped(this.batchCount)
    this.filling = undefined
    this.spare = undefined
    this.countAt = -1
    this.batchCount = 0
    this.batchWhole = 0
  }
}
