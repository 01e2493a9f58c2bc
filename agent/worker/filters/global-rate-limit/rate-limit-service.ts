/**
 * A rate-limit service as one worker asks it. After three answers in a row that were none it counts as gone: requests
 * are judged here at once, by the share of the limits that it said last, and one of them a second asks beside it
 * whether it is back.
 */
import type { RateLimitServiceSpec } from '../../../../contracts/global-rate-limit-spec.ts'
import { grpcFrame, grpcType } from '../../../../contracts/grpc-wire.ts'
import {
  decodeAnswer,
  descriptorKey,
  encodeQuestion,
  rateLimitHostsField,
  shouldRateLimitPath,
  type RateLimitAnswer,
  type RateLimitQuestion,
} from '../../../../contracts/rate-limit-wire.ts'
import type { Answer } from '../answer.ts'
import { maxVerdictBytes, spareMs } from '../calls.ts'
import type { CallAnswer, CallOutcome, Calls } from '../calls.ts'
import { hostOf } from '../ext-authz/asked.ts'
import { applyEdits, verdictProblem, type SaidField } from '../ext-authz/verdict.ts'
import type { FilterContext, Wait, WaitCall, Waiter } from '../filter.ts'
import { readGrpcAnswer, type NoAnswer } from '../grpc-answer.ts'
import { overLimit, unlimitedRefused, waitOf } from './limit-answer.ts'
import type { LimitCounts, LimitResult } from './limit-counts.ts'
import { LocalShares } from './local-shares.ts'

const goneAfter = 3
const probeMs = 1000
const maxHosts = 10_000
const nothingSaid = { rawBody: Buffer.alloc(0), responseFields: [] }

export interface LimitDeps {
  readonly calls: Calls
  readonly counts: LimitCounts
  readonly warn: (message: string) => void
}

type Read = RateLimitAnswer | NoAnswer

export class RateLimitService {
  spec: RateLimitServiceSpec
  /** Of a local share: 1 / number of workers. */
  workerShare = 1
  private readonly shares = new LocalShares()
  private readonly deps: LimitDeps
  private readonly tally: Record<LimitResult, number>
  private hosts = 1
  private failures = 0
  private probedAt = -Infinity

  constructor(spec: RateLimitServiceSpec, deps: LimitDeps) {
    this.spec = spec
    this.deps = deps
    this.tally = deps.counts.tally(spec.name)
  }

  get isGone(): boolean {
    return this.failures >= goneAfter
  }

  get share(): number {
    return this.spec.localShare ?? 1 / this.hosts
  }

  judge(question: RateLimitQuestion, limit: string, context: FilterContext): Answer | Wait | null {
    if (!this.isGone)
      return {
        kind: 'wait',
        ms: this.spec.timeoutMs + spareMs,
        flag: '-',
        call: new Asking(this, question, limit, context),
      }
    if (context.now - this.probedAt >= probeMs) {
      this.probedAt = context.now
      const at = context.now
      this.ask(question, (outcome) => void this.heard(outcome, question, at))
    }
    return this.local(question, limit, context.now)
  }

  ask(question: RateLimitQuestion, done: (outcome: CallOutcome) => void): { cancel(): void } {
    const { metadata, port, service, timeoutMs } = this.spec
    return this.deps.calls.ask(
      {
        service,
        port,
        timeoutMs,
        maxAnswerBytes: maxVerdictBytes,
        isGrpc: true,
        method: 'POST',
        authority: hostOf(this.spec),
        target: shouldRateLimitPath,
        fields: [['content-type', grpcType], ...Object.entries(metadata)],
        content: grpcFrame(encodeQuestion(question)),
      },
      done,
    )
  }

  /** What becomes of the request: null = it goes on. */
  decide(outcome: CallOutcome, question: RateLimitQuestion, limit: string, context: FilterContext): Answer | null {
    const { tally } = this
    const answer = this.heard(outcome, question, context.now)
    if (answer === undefined) return this.local(question, limit, context.now)
    if (answer.code === 'over-limit') {
      tally.over_limit++
      return overLimit(limit, waitOf(answer.statuses), answer)
    }
    tally.ok++
    applyEdits(allowedBy(answer), context)
    return null
  }

  late(question: RateLimitQuestion, limit: string, now: number): Answer | null {
    this.failed('timeout')
    return this.local(question, limit, now)
  }

  /** undefined: it was no answer. */
  private heard(outcome: CallOutcome, question: RateLimitQuestion, now: number): RateLimitAnswer | undefined {
    const read: Read = 'failure' in outcome ? { why: outcome.failure } : readAnswer(outcome, question)
    if ('why' in read) {
      this.failed(read.why)
      return undefined
    }
    if (this.isGone) this.deps.warn(`rate-limit service ${this.spec.name} answers again`)
    this.failures = 0
    const hosts = Number((outcome as CallAnswer).fields.find(([name]) => name === rateLimitHostsField)?.[1])
    if (Number.isInteger(hosts) && hosts >= 1) this.hosts = Math.min(hosts, maxHosts)
    for (const [at, status] of read.statuses.entries())
      this.shares.learn(descriptorKey(question.descriptors[at]!.entries), status, now)
    return read
  }

  /** Plain data. */
  exportState(now: number): unknown {
    return { hosts: this.hosts, limits: this.shares.exportState(now) }
  }

  /** Tolerates anything. */
  importState(state: unknown, now: number): void {
    const { hosts, limits } = Object(state) as { hosts?: unknown; limits?: unknown }
    if (typeof hosts === 'number' && Number.isInteger(hosts) && hosts >= 1) this.hosts = Math.min(hosts, maxHosts)
    this.shares.importState(limits, now)
  }

  private failed(why: string): void {
    this.tally[why === 'timeout' ? 'timeout' : 'error']++
    this.failures++
    if (this.failures !== goneAfter) return
    const { failureModeDeny, name } = this.spec
    const rest = failureModeDeny ? 'are refused' : 'pass'
    this.deps.warn(
      `E_RATE_LIMIT_UNAVAILABLE  rate-limit service ${name}: ${why}; this host applies ${percent(this.share)} of the limits that it said last, requests without one ${rest}`,
    )
  }

  private local({ descriptors, hitsAddend }: RateLimitQuestion, limit: string, now: number): Answer | null {
    const { tally } = this
    const share = this.share * this.workerShare
    let isKnown = false
    let waitMs = 0
    for (const { entries } of descriptors) {
      const taken = this.shares.take(descriptorKey(entries), hitsAddend, share, now)
      if (taken === undefined) continue
      isKnown = true
      waitMs = Math.max(waitMs, taken.waitMs)
    }
    if (waitMs > 0) {
      tally.local_over_limit++
      return overLimit(`${limit}, in the share of this host`, waitMs, nothingSaid)
    }
    if (isKnown) {
      tally.local_ok++
      return null
    }
    tally[this.spec.failureModeDeny ? 'failure_mode_denied' : 'failure_mode_allowed']++
    return this.spec.failureModeDeny ? unlimitedRefused() : null
  }
}

/** A request that waits. */
class Asking implements WaitCall {
  private readonly service: RateLimitService
  private readonly question: RateLimitQuestion
  private readonly limit: string
  private readonly context: FilterContext
  private running: { cancel(): void } | null = null

  constructor(service: RateLimitService, question: RateLimitQuestion, limit: string, context: FilterContext) {
    this.service = service
    this.question = question
    this.limit = limit
    this.context = context
  }

  get late(): Answer | null {
    return this.service.late(this.question, this.limit, this.context.now)
  }

  begin(waiter: Waiter): void {
    const { context, limit, question, service } = this
    this.running = service.ask(question, (outcome) => {
      this.running = null
      waiter.resume(service.decide(outcome, question, limit, context))
    })
  }

  cancel(): void {
    this.running?.cancel()
    this.running = null
  }
}

/** Never throws. */
function readAnswer(outcome: CallAnswer, { descriptors }: RateLimitQuestion): Read {
  return readGrpcAnswer(outcome, (message): Read => {
    const answer = decodeAnswer(message)
    if (answer.code === 'unknown') return { why: 'its answer says neither OK nor OVER_LIMIT' }
    if (answer.statuses.length > 0 && answer.statuses.length !== descriptors.length)
      return { why: `its answer has ${answer.statuses.length} statuses for ${descriptors.length} descriptors` }
    const problem = verdictProblem(allowedBy(answer))
    return problem === undefined ? answer : { why: problem }
  })
}

/** What it changes, as an authorizer would say it. */
function allowedBy({ requestFields, responseFields }: RateLimitAnswer) {
  return { kind: 'allowed', fields: said(requestFields), remove: [], reply: said(responseFields) } as const
}

function said(fields: RateLimitAnswer['requestFields']): SaidField[] {
  return fields.map(([name, value]) => ({ name, value, how: 'append' }))
}

export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}
