import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import { BodyReader } from '../../../http1/body-reader.ts'
import { Head } from '../../../http1/head.ts'
import type { StringCache } from '../../../http1/string-cache.ts'
import { splitAuthority } from '../route/local-reply.ts'
import type { RequestView } from '../route/types.ts'
import type { Output } from '../transport/output.ts'
import { CreatedTrace } from './created-trace.ts'
import { ReplayBuffer } from './replay-buffer.ts'

/** Who calls, as the connection knows it. */
export interface Caller {
  readonly localPort: number
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
}

/** A shorter head than this shares one size of memory, so that the next one fits too. */
const leastHeadBytes = 1024

/** What a caller asks: the head, and the body as far as it came. Reused, with its exchange, for one request after another. */
export class IncomingRequest implements RequestView {
  caller!: Caller
  readonly head: Head
  readonly body: BodyReader = new BodyReader()
  readonly replay: ReplayBuffer = new ReplayBuffer()
  readonly createdTrace: CreatedTrace = new CreatedTrace()
  readonly scheme = 'http'
  isNamedByHost = false
  /** Head and body were received to the last byte. */
  isDone = false
  /** Whether the head is whole, so that its facts may be read. */
  isRead = true
  /** Copy of the head's bytes: the read buffer is reused before the exchange is over. */
  private kept: Buffer = Buffer.alloc(0)

  constructor(strings: StringCache, maxFields: number) {
    this.head = new Head(strings, maxFields)
  }

  get method(): string {
    return this.head.method
  }
  get path(): string {
    return this.head.path
  }
  get query(): string {
    return this.head.query
  }
  get authority(): string {
    return this.head.authority
  }
  get localPort(): number {
    return this.caller.localPort
  }
  get namedPort(): number {
    return this.isNamedByHost ? (splitAuthority(this.head.authority)[1] ?? 0) : 0
  }
  get sourceAddress(): string {
    return this.caller.sourceAddress
  }
  get source(): SourceAppSpec | undefined {
    return this.caller.source
  }
  header(name: string): string | undefined {
    return this.head.header(name)
  }

  /** Head and content. */
  get bytes(): number {
    return this.isRead ? this.head.end - this.head.start + this.body.contentBytes : 0
  }

  get asksUpgrade(): boolean {
    return this.head.upgradesToWebSocket
  }

  /** The head outlives the buffer into which it was read: a retry needs it. */
  keepHead(): void {
    const { head } = this
    const length = head.end - head.start
    if (length > this.kept.length) this.kept = Buffer.allocUnsafeSlow(Math.max(leastHeadBytes, length))
    head.buf.copy(this.kept, 0, head.start, head.end)
    head.moveTo(this.kept, 0)
  }

  /** Whether `count` more bytes of the body may be taken. Bytes beyond the replay only pass to an attempt that sends them on; the request can then no longer be repeated. */
  accepts(count: number, isSentOn: boolean): boolean {
    if (this.replay.hasRoomFor(count)) return true
    if (isSentOn) this.replay.abandon()
    return isSentOn
  }

  /** Takes bytes of the body that it accepts: into the replay while that is whole, and into `output` for an attempt that sends them on. Answers their number, or a fault below 0. */
  takeBody(buf: Buffer, start: number, end: number, output: Output | null): number {
    const { body, replay } = this
    const keeps = replay.isWhole
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken < 0) return taken
      if (taken === 0) break
      at += taken
      for (let run = 0; run < body.runCount; run++) {
        const from = body.runs[run * 2]!
        const to = body.runs[run * 2 + 1]!
        if (output !== null) output.copy(buf, from, to)
        if (keeps) replay.keep(buf, from, to)
      }
    }
    if (body.isDone) {
      const { tail } = body
      if (tail !== null && output !== null) output.append(tail)
      if (tail !== null && keeps) replay.keep(tail, 0, tail.length)
      this.isDone = true
    }
    return at - start
  }

  reset(): void {
    this.head.reset()
    this.replay.reset()
    this.createdTrace.isThere = false
    this.isNamedByHost = false
    this.isDone = false
    this.isRead = true
  }
}
