import type { ExchangeState } from './exchange-state.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import type { Fields } from './streams.ts'

/**
 * The content of a request as far as it came: counted, and kept while it is small, so that the request can be sent
 * later, or again.
 */
export class RequestBody {
  readonly replay: ReplayBuffer = new ReplayBuffer()
  /** Bytes of content so far. */
  bytes = 0
  /** Received to its last byte. */
  isDone = false
  trailers: Fields | null = null

  /**
   * Whether `count` more bytes may be taken. Bytes beyond the replay only pass to an attempt that sends them on; the
   * request can then no longer be repeated.
   */
  accepts(count: number, isSentOn: boolean): boolean {
    if (this.replay.hasRoomFor(count)) return true
    if (isSentOn) this.replay.abandon()
    return isSentOn
  }

  take(buf: Buffer, from: number, to: number): void {
    this.bytes += to - from
    if (this.replay.isWhole) this.replay.keep(buf, from, to)
  }

  end(trailers: Fields | null): void {
    this.trailers = trailers
    this.isDone = true
  }

  get state(): ExchangeState['body'] {
    const { bytes, isDone, replay, trailers } = this
    const kept = replay.isWhole ? replay.bytes.toString('base64', 0, replay.length) : null
    return { bytes, isDone, trailers, kept }
  }

  restore({ bytes, isDone, kept, trailers }: ExchangeState['body']): void {
    this.bytes = bytes
    this.isDone = isDone
    this.trailers = trailers
    const content = Buffer.from(kept ?? '', 'base64')
    if (kept === null || !this.replay.hasRoomFor(content.length)) this.replay.abandon()
    else this.replay.keep(content, 0, content.length)
  }

  reset(): void {
    this.replay.reset()
    this.bytes = 0
    this.isDone = false
    this.trailers = null
  }
}
