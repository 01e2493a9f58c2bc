/**
 * Asks an external authorizer about a request, and makes of its word a verdict of a filter. Whatever goes wrong is no
 * verdict: the request is refused with `statusOnError`, or goes on where the authorizer's configuration says so.
 */
import type { ExternalAuthorizerSpec } from '../../../../contracts/external-authorizer-spec.ts'
import { LogPause } from '../../../../contracts/log-pause.ts'
import { contentTooLong, refusal } from '../answer.ts'
import type { Answer, TakenContent } from '../answer.ts'
import { maxVerdictBytes, spareMs } from '../calls.ts'
import type { CallOutcome, Calls, Question } from '../calls.ts'
import type { FilterContext, Wait, WaitCall, Waiter } from '../filter.ts'
import { askedOf, hostOf } from './asked.ts'
import type { AuthorizerCounts, AuthorizerResult } from './authorizer-counts.ts'
import { checkPath, checkRequest, checkVerdict, grpcFields } from './grpc-check.ts'
import { HttpCheck } from './http-check.ts'
import { applyEdits, denial, unjudged, verdictProblem } from './verdict.ts'
import type { Verdict } from './verdict.ts'

/** For the content of a request to come. */
const contentMs = 30_000
const contentTooSlow = refusal(
  408,
  'E_DOWNSTREAM_TIMEOUT',
  'DT',
  'E_DOWNSTREAM_TIMEOUT  the content of the request did not come in time to be judged',
)

const everyField = (): boolean => true
const noContent = Buffer.alloc(0)

export interface AuthorizerDeps {
  readonly calls: Calls
  readonly counts: AuthorizerCounts
  readonly warn: (message: string) => void
  /** Epoch ms. */
  readonly wallClock: () => number
}

export class ExternalAuthorizer {
  readonly spec: ExternalAuthorizerSpec
  private readonly deps: AuthorizerDeps
  /** null: it is asked in gRPC. */
  private readonly http: HttpCheck | null
  private readonly tally: Record<AuthorizerResult, number>
  private readonly pause = new LogPause()

  constructor(spec: ExternalAuthorizerSpec, deps: AuthorizerDeps) {
    this.spec = spec
    this.deps = deps
    this.http = spec.call.kind === 'http' ? new HttpCheck(spec.call) : null
    this.tally = deps.counts.tally(spec.name)
  }

  /** The request waits for its word. */
  judge(context: FilterContext): Wait {
    const ms = this.spec.timeoutMs + spareMs + (this.spec.content === undefined ? 0 : contentMs)
    return { kind: 'wait', ms, flag: '-', call: new Judging(this, context) }
  }

  ask(question: Question, done: (outcome: CallOutcome) => void): { cancel(): void } {
    return this.deps.calls.ask(question, done)
  }

  /** What becomes of the request: null = it goes on. */
  decide(outcome: CallOutcome, context: FilterContext): Answer | null {
    const { tally } = this
    const verdict = this.read(outcome)
    if (verdict.kind === 'failed') return this.fail(verdict.why)
    const problem = verdictProblem(verdict)
    if (problem !== undefined) return this.fail(problem)
    if (verdict.kind === 'denied') {
      tally.denied++
      return denial(verdict)
    }
    tally.ok++
    applyEdits(verdict, context)
    return null
  }

  /** It may not be told a part of the content, so it cannot judge. */
  refuseLong(most: number): Answer {
    this.tally.denied++
    return contentTooLong(most)
  }

  fail(why: string): Answer | null {
    const { tally } = this
    const { wallClock, warn } = this.deps
    const { failOpen, name, statusOnError } = this.spec
    tally[why === 'timeout' ? 'timeout' : 'error']++
    if (failOpen) tally.failure_mode_allowed++
    if (this.pause.allows(wallClock())) {
      const rest = failOpen ? 'requests go on unjudged' : `requests are refused with ${statusOnError}`
      warn(`E_AUTHORIZATION_UNAVAILABLE  external authorizer ${name}: ${why}; ${rest}`)
    }
    return failOpen ? null : unjudged(statusOnError)
  }

  private read(outcome: CallOutcome): Verdict {
    if ('failure' in outcome) return { kind: 'failed', why: outcome.failure }
    return this.http === null ? checkVerdict(outcome) : this.http.verdictOf(outcome)
  }

  /** `content`: undefined = it is not told of any. */
  question(context: FilterContext, content: TakenContent | undefined): Question {
    const { http } = this
    const { port, service, timeoutMs } = this.spec
    const asked = askedOf(context, this.deps.wallClock(), content, http?.isTold ?? everyField)
    const base = { service, port, timeoutMs, maxAnswerBytes: maxVerdictBytes }
    if (http === null)
      return {
        ...base,
        isGrpc: true,
        method: 'POST',
        authority: hostOf(this.spec),
        target: checkPath,
        fields: grpcFields,
        content: checkRequest(asked, this.spec.content?.isRaw === true),
      }
    return {
      ...base,
      isGrpc: false,
      method: asked.method,
      authority: asked.authority,
      target: `${http.pathPrefix}${asked.target}`,
      fields: http.fieldsOf(asked),
      content: content?.bytes ?? noContent,
    }
  }
}

/** A request that waits. */
class Judging implements WaitCall {
  private readonly authorizer: ExternalAuthorizer
  private readonly context: FilterContext
  private running: { cancel(): void } | null = null
  private isAsked = false

  constructor(authorizer: ExternalAuthorizer, context: FilterContext) {
    this.authorizer = authorizer
    this.context = context
  }

  get late(): Answer | null {
    return this.isAsked ? this.authorizer.fail('timeout') : contentTooSlow
  }

  begin(waiter: Waiter): void {
    const { authorizer, context } = this
    const { content } = authorizer.spec
    if (content === undefined) this.ask(waiter, undefined)
    else
      this.running = context.readContent(content.maxBytes, (taken) => {
        if (taken.isWhole || content.allowsPartial) this.ask(waiter, taken)
        else waiter.resume(authorizer.refuseLong(content.maxBytes))
      })
  }

  private ask(waiter: Waiter, content: TakenContent | undefined): void {
    this.isAsked = true
    this.running = this.authorizer.ask(this.authorizer.question(this.context, content), (outcome) => {
      this.running = null
      waiter.resume(this.authorizer.decide(outcome, this.context))
    })
  }

  cancel(): void {
    this.running?.cancel()
    this.running = null
  }
}
