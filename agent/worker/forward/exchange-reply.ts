import { Outcome } from '../balance/types.ts'
import type { Answer } from '../filters/answer.ts'
import type { Transport } from '../transport/transport.ts'
import type { Attempt } from './attempt.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { ExchangeTime } from './exchange-time.ts'
import { failureOf } from './failure.ts'
import { ChangedReply } from './changed-reply.ts'
import type { ExchangeContext } from './filter-context.ts'
import { brokenTrailers } from './grpc/answer.ts'
import { judgeEnd, judgeHead } from './judgement.ts'
import * as own from './own-answers.ts'
import type { Fields, ReplyEdits, ReplyMessage, ReplyVerdict } from './streams.ts'
import { startTunnel } from './tunnel.ts'

/** The reply on its way from an attempt to the caller: which one it is, its content and its end, or that it broke. */
export abstract class ExchangeReply extends ExchangeTime {
  protected abstract override readonly deps: ExchangeDeps
  abstract readonly context: ExchangeContext

  /** It is over, and the caller's stream goes on. */
  protected abstract finish(): void
  /** Counts it and lets everything go. The stream follows. */
  protected abstract close(): void

  onInterim(attempt: Attempt, reply: ReplyMessage): void {
    // Only while one attempt can still be the answer.
    if (this.tries.running.isRace) return
    this.stream.interim(reply, this.changesOf(attempt, reply))
  }

  onReply(attempt: Attempt, reply: ReplyMessage): ReplyVerdict | 'over' {
    this.reply.headMs = this.deps.clock.now - this.startedAt
    const delivery = judgeHead(this.deps, attempt, reply, this.call)
    if (this.tries.retryReply(attempt, reply, delivery)) return 'discard'
    this.commit(attempt)
    this.reply.begin(reply, this.speaks)
    if (this.tries.isExhausted) this.reply.flag = 'URX'
    const edits = this.changesOf(attempt, reply)
    if (this.context.refusedReply !== null) return this.refuseReply(attempt, this.context.refusedReply)
    const { mesh, reports } = this.deps
    if (reports.replyFields.length > 0) this.reply.fields.keepReply(reports.replyFields, reply, edits, mesh.node.tier)
    const head = this.context.replyChange === null ? reply : new ChangedReply(reply)
    if (this.stream.begin(this.call.web?.reply(head) ?? head, edits)) return 'pass'
    this.replyBroken(attempt, Outcome.protocol, 'a reply that the protocol of the caller cannot say')
    return 'over'
  }

  private changesOf(attempt: Attempt, reply: ReplyMessage): ReplyEdits {
    const { context, routing } = this
    const { clock, replyChanges } = this.deps
    context.now = clock.now
    return replyChanges.forReply(routing, attempt.state!, context, reply, this.tries.visit.hashCookie)
  }

  /** A filter does not let it pass, and nothing of it was told. */
  private refuseReply(attempt: Attempt, refusal: Answer): 'over' {
    attempt.abandon(Outcome.cancelled)
    this.tries.running.finish()
    this.reply.reset()
    this.answer(refusal)
    return 'over'
  }

  private commit(attempt: Attempt): void {
    this.keepBounds()
    this.tries.commit(attempt)
  }

  onReplyContent(buf: Buffer, from: number, to: number): void {
    const { replyChange } = this.context
    if (replyChange === null) this.passContent(buf, from, to)
    else this.passChanged(() => replyChange.take(buf.subarray(from, to)))
  }

  /** False = a filter failed, and the reply was broken off. */
  private passChanged(change: () => Buffer): boolean {
    let bytes: Buffer
    try {
      bytes = change()
    } catch (error) {
      const { message } = error as Error
      const instead = own.errorAnswer(503, 'E_FILTER_FAILED', '-', message)
      this.context.replyChange = null
      this.context.refusedReply = instead
      this.replyBroken(this.tries.running.winner!, Outcome.cancelled, message, instead)
      return false
    }
    if (bytes.length > 0) this.passContent(bytes, 0, bytes.length)
    return true
  }

  private passContent(buf: Buffer, from: number, to: number): void {
    this.reply.bytes += to - from
    if (this.call.isOn) this.call.received.take(buf, from, to)
    if (this.call.web === null) this.stream.content(buf, from, to)
    else this.call.web.content(this.stream, buf, from, to)
  }

  get contentTarget(): Transport | null {
    return this.context.replyChange === null ? this.stream.contentTarget : null
  }

  onMoved(count: number): void {
    this.reply.bytes += count
  }

  flushReply(): boolean {
    if (this.call.isOn) this.deps.messages.count(this)
    return this.stream.flush()
  }

  onDrained(): void {
    this.tries.running.winner?.resumeReading()
  }

  /** False = a filter failed at its end, and the reply was broken off. */
  endReply(trailers: Fields | null): boolean {
    const { replyChange } = this.context
    if (replyChange !== null && !this.passChanged(() => replyChange.end())) return false
    if (this.call.isOn) judgeEnd(this.tries.running.winner!, trailers, this.call)
    this.endStream(trailers)
    return true
  }

  private endStream(trailers: Fields | null): void {
    if (this.call.web === null) this.stream.end(trailers)
    else this.call.web.end(this.stream, trailers)
    this.stream.flush()
  }

  replyDone(): void {
    this.tries.running.finish()
    this.finish()
  }

  /**
   * The reply broke: the caller must see that it is not whole (R26), or gets another one if nothing of it was passed
   * on.
   */
  protected replyBroken(attempt: Attempt, outcome: Outcome, reason: string, instead?: Answer): void {
    const isUntold = this.stream.dropUnflushed()
    attempt.abandon(outcome)
    this.tries.running.finish()
    if (isUntold) {
      const { status, code, flag } = failureOf(outcome, reason)
      this.reply.reset()
      this.answer(instead ?? own.errorAnswer(status, code, flag, reason))
      return
    }
    this.reply.breakOff(outcome)
    this.deps.tallies.truncatedReplies++
    if (this.call.isOn && (this.call.web?.isReplyOfGrpc ?? this.request.protocol === 'HTTP/2')) {
      const trailers = brokenTrailers(outcome, reason)
      this.call.readTrailers(trailers)
      this.endStream(trailers)
      this.finish()
      return
    }
    this.close()
    this.stream.breakOff()
  }

  /** 101: from here on bytes pass in both directions, and the exchange is over. */
  onSwitch(attempt: Attempt, reply: ReplyMessage, buf: Buffer, from: number, to: number): void {
    const { stream, tries } = this
    this.reply.switched(this.deps.clock.now - this.startedAt)
    attempt.judge(Outcome.ok, 101, this.reply.headMs)
    this.commit(attempt)
    tries.running.finish()
    stream.begin(reply, this.changesOf(attempt, reply))
    if (to > from) stream.content(buf, from, to)
    const isTaken = stream.flush()
    const { state, upstream } = attempt
    const given = attempt.giveStream().giveTransport()
    const share = tries.visit.giveAdmission()
    const { accepted } = stream
    this.close()
    startTunnel(
      this.deps,
      accepted,
      { upstream: upstream!, state: state!, share },
      stream.giveTransport(),
      given,
      isTaken,
    )
  }
}
