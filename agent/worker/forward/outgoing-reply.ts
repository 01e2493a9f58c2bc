import type { ErrorCode } from '../../../contracts/errors.ts'
import { Outcome } from '../balance/types.ts'
import { BodyKind, ReplyFraming } from '../../../http1/types.ts'
import type { Answer, FilterContext, HeaderEdits } from '../route/types.ts'
import type { Attempt } from './attempt.ts'
import type { IncomingRequest } from './incoming-request.ts'
import type { Road } from './road.ts'
import type { Way } from './way.ts'

/** What the caller gets, from an endpoint or from us: puts its head into the output, and keeps the facts that metrics and the access log tell of it. */
export class OutgoingReply {
  /** 0 = no response head yet (and for good, when the caller went away). */
  status = 0
  code: ErrorCode | undefined = undefined
  /** Envoy's response flag. */
  flag = '-'
  /** Head and body on the wire. */
  bytes = 0
  /** Ms from the request head to the response head; -1 = there was none. */
  headMs = -1
  /** It was cut short (R26). */
  isTruncated = false
  /** The connection closes behind it. */
  closes = false
  private readonly road: Road
  private readonly request: IncomingRequest
  private readonly way: Way
  private readonly context: FilterContext & { now: number }

  constructor(road: Road, request: IncomingRequest, way: Way, context: FilterContext & { now: number }) {
    this.road = road
    this.request = request
    this.way = way
    this.context = context
  }

  /** The reply of `attempt` is the answer. `cookie`: adds a cookie of ours, or null. */
  pass(attempt: Attempt, mustClose: boolean, cookie: HeaderEdits | null): void {
    const { body, head } = attempt
    const { request, road } = this
    const framing = replyFraming(head.body, request.head.minor === 0)
    this.status = head.status
    this.closes = mustClose || framing === ReplyFraming.untilClose
    attempt.rechunks = framing === ReplyFraming.chunked
    body.begin(
      head.body,
      head.contentLength,
      framing !== ReplyFraming.same,
      request.head.acceptsTrailers,
      road.state.limits,
    )
    this.writeHead(attempt, framing, cookie)
  }

  /** A head without a body behind it: an interim reply, or 101. */
  passHead(attempt: Attempt, cookie: HeaderEdits | null): void {
    this.writeHead(attempt, ReplyFraming.same, cookie)
  }

  private writeHead(attempt: Attempt, framing: ReplyFraming, cookie: HeaderEdits | null): void {
    const { context, request, road, way } = this
    context.now = road.clock.now
    road.heads.reply(road.output, request, way, attempt.head, attempt.state!, context, framing, this.closes, cookie)
  }

  /** The answer is our own. */
  answer(reply: Answer, mustClose: boolean): void {
    const { context, request, road, way } = this
    this.status = reply.status
    this.code = reply.code
    if (reply.flag !== '-') this.flag = reply.flag
    this.closes ||= mustClose
    context.now = road.clock.now
    road.heads.local(road.output, request, way.route, context, reply, this.closes)
    this.bytes += road.output.length
  }

  /** The endpoint did not bring it to its end. */
  breakOff(outcome: Outcome): void {
    this.isTruncated = true
    this.code = outcome === Outcome.timeout ? 'E_UPSTREAM_TIMEOUT' : 'E_UPSTREAM_TRUNCATED'
    this.flag = outcome === Outcome.timeout ? 'UT' : outcome === Outcome.protocol ? 'UPE' : 'UC'
  }

  /** The caller did not wait for it. */
  cancel(): void {
    this.isTruncated = true
    this.code = 'E_DOWNSTREAM_RESET'
    this.flag = 'DC'
  }

  reset(): void {
    this.status = 0
    this.code = undefined
    this.flag = '-'
    this.bytes = 0
    this.headMs = -1
    this.isTruncated = false
    this.closes = false
  }
}

/** How the end of a reply's body is told to the caller (R27): one of HTTP/1.0 knows no chunks, one of HTTP/1.1 is not left to take a close for the end. */
function replyFraming(kind: BodyKind, isOldCaller: boolean): ReplyFraming {
  if (kind === BodyKind.untilClose) return isOldCaller ? ReplyFraming.untilClose : ReplyFraming.chunked
  return kind === BodyKind.chunked && isOldCaller ? ReplyFraming.untilClose : ReplyFraming.same
}
