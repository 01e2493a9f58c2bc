import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import { headers } from '../../../../contracts/words.ts'
import type { Tier } from '../../../../contracts/words.ts'
import { Field } from '../../../../http1/field-names.ts'
import { Head } from '../../../../http1/head.ts'
import type { HeadWriter } from '../../../../http1/head-writer.ts'
import { LocalReplies } from '../../../../http1/local-reply.ts'
import { ReplyFraming } from '../../../../http1/types.ts'
import { plainReplyPlan } from '../../../../http1/plans.ts'
import type { ReplyPlan } from '../../../../http1/types.ts'
import type { Answer, HeaderEdits, ReplyEdits, ReplyMessage } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'
import type { ForeignHeads } from './foreign-head.ts'

/** Writes the heads of forwarded replies, and our own answers. One per worker, name of the node and tier. */
export class ReplyWriter {
  private readonly writer: HeadWriter
  private readonly foreign: ForeignHeads
  private readonly answers: LocalReplies
  private readonly tierLine: Buffer
  private readonly plan: ReplyPlan = plainReplyPlan()

  constructor(writer: HeadWriter, foreign: ForeignHeads, tier: Tier) {
    this.writer = writer
    this.foreign = foreign
    this.answers = new LocalReplies(tier)
    this.tierLine = Buffer.from(`${headers.tier}: ${tier}\r\n`, 'latin1')
    this.plan.extra = this.tierLine
    this.plan.extraLength = this.tierLine.length
  }

  /**
   * `minor`, `takesTrailers`: of the caller's request. `framing`: of the content. False when the message cannot be said
   * in HTTP/1.1; nothing was written then.
   */
  write(
    output: Output,
    reply: ReplyMessage,
    edits: ReplyEdits,
    framing: ReplyFraming,
    closes: boolean,
    minor: number,
    takesTrailers: boolean,
    limits: LimitsSpec,
  ): boolean {
    const { wire } = reply
    const head = wire instanceof Head ? wire : this.foreign.reply(reply, limits)
    if (head === null) return false
    const { plan, writer } = this
    const isFinal = head.status >= 200
    plan.routeEdits = isFinal ? edits.route : null
    plan.destinationEdits = isFinal ? edits.destination : null
    plan.cookieEdits = isFinal ? edits.cookie : null
    plan.filterEdits = isFinal ? edits.filters : null
    plan.dropsError = !head.has(Field.xMeshError) || !edits.isFromAgent
    plan.dropsTrailer = !takesTrailers || framing === ReplyFraming.untilClose
    plan.framing = framing
    plan.closes = closes && isFinal
    plan.saysKeepAlive = !closes && isFinal && minor === 0
    plan.upgrades = head.status === 101
    let at = writer.reply(output.bytes, output.length, head, plan)
    if (at < 0) {
      output.room(writer.roomFor(head, plan))
      at = writer.reply(output.bytes, output.length, head, plan)
    }
    output.length = at
    return true
  }

  answer(
    output: Output,
    answer: Answer,
    edits: readonly HeaderEdits[] | null,
    isHead: boolean,
    closes: boolean,
    minor: number,
  ): void {
    output.append(this.answers.format(answer, edits, isHead, closes, minor))
  }
}
