import { isAgentInbound } from '../../../contracts/endpoint.ts'
import { headers } from '../../../contracts/words.ts'
import type { Tier } from '../../../contracts/words.ts'
import type { EndpointState } from '../balance/types.ts'
import { HeadWriter } from '../../../http1/head-writer.ts'
import { LocalReplies } from '../../../http1/local-reply.ts'
import { Method, ReplyFraming } from '../../../http1/types.ts'
import type { ReplyPlan, RequestPlan } from '../../../http1/types.ts'
import type { Answer, FilterContext, HeaderEdits, Route } from '../route/types.ts'
import type { Head } from '../../../http1/head.ts'
import type { Output } from '../transport/output.ts'
import type { IncomingRequest } from './incoming-request.ts'
import { RequestFields } from './request-fields.ts'
import type { Way } from './way.ts'
import type { MeshSpec } from '../../../contracts/snapshot.ts'

/** Writes forwarded heads and our own answers into the output. One per worker, made anew when the node's name or tier changes. */
export class ForwardedHeads {
  /** Our name in Via. */
  readonly pseudonym: string
  private readonly writer: HeadWriter
  private readonly replies: LocalReplies
  private readonly tierLine: Buffer
  private readonly fields: RequestFields
  private readonly requestPlan: RequestPlan = {
    routeEdits: null,
    destinationEdits: null,
    extra: null,
    extraLength: 0,
    target: null,
    authority: null,
    upgrades: false,
    dropsExpect: false,
  }
  private readonly replyPlan: ReplyPlan = {
    routeEdits: null,
    destinationEdits: null,
    cookieEdits: null,
    filterEdits: null,
    dropsTier: true,
    dropsError: true,
    extra: null,
    extraLength: 0,
    framing: ReplyFraming.same,
    closes: false,
    saysKeepAlive: false,
    upgrades: false,
  }

  constructor(pseudonym: string, tier: Tier, random: () => number) {
    this.pseudonym = pseudonym
    this.writer = new HeadWriter(pseudonym)
    this.replies = new LocalReplies(tier)
    this.tierLine = Buffer.from(`${headers.tier}: ${tier}\r\n`, 'latin1')
    this.fields = new RequestFields(random)
  }

  /** The head of `request` for `endpoint`. */
  request(
    output: Output,
    request: IncomingRequest,
    way: Way,
    endpoint: EndpointState,
    tracing: MeshSpec['tracing'],
  ): void {
    const { head, source } = request
    const { destination, route } = way
    const { fields, requestPlan: plan } = this
    fields.begin()
    if (source !== undefined && isAgentInbound(endpoint.endpoint)) fields.addSource(source.app)
    if (tracing.createMissing) fields.addTrace(head, request.createdTrace, tracing)
    plan.routeEdits = route === null ? null : route.requestEdits
    plan.destinationEdits = destination === null ? null : destination.requestEdits
    plan.extra = fields.length > 0 ? fields.bytes : null
    plan.extraLength = fields.length
    plan.target = null
    plan.authority = null
    if (route !== null) {
      if (route.rewritePath !== null) plan.target = rewrittenTarget(route.rewritePath(request), request.query)
      const authority = destination?.authority ?? route.rewriteAuthority
      if (authority !== null) plan.authority = Buffer.from(authority, 'latin1')
    }
    plan.upgrades = head.upgradesToWebSocket
    this.writeRequest(output, head, plan)
  }

  private writeRequest(output: Output, head: Head, plan: RequestPlan): void {
    let at = this.writer.request(output.bytes, output.length, head, plan)
    if (at < 0) {
      output.room(this.writer.roomFor(head, plan))
      at = this.writer.request(output.bytes, output.length, head, plan)
    }
    output.length = at
  }

  /** The head of a reply like `replyHead`, which came from `endpoint`, to the caller of `request`. `cookie`: adds a cookie of ours, or null. */
  reply(
    output: Output,
    request: IncomingRequest,
    way: Way,
    replyHead: Head,
    endpoint: EndpointState,
    context: FilterContext,
    framing: ReplyFraming,
    closes: boolean,
    cookie: HeaderEdits | null,
  ): void {
    const { destination, route } = way
    const plan = this.replyPlan
    plan.routeEdits = null
    plan.destinationEdits = null
    plan.cookieEdits = null
    plan.filterEdits = null
    plan.extra = this.tierLine
    plan.extraLength = this.tierLine.length
    const isFinal = replyHead.status >= 200
    if (route !== null && isFinal) {
      plan.routeEdits = route.responseEdits
      plan.destinationEdits = destination === null ? null : destination.responseEdits
      plan.cookieEdits = cookie
      if (route.responseFilters.length > 0) plan.filterEdits = filterEdits(route, context, replyHead.status)
    }
    plan.dropsError = !isAgentInbound(endpoint.endpoint)
    plan.framing = framing
    plan.closes = closes && isFinal
    plan.saysKeepAlive = !closes && isFinal && request.head.minor === 0
    plan.upgrades = replyHead.status === 101
    let at = this.writer.reply(output.bytes, output.length, replyHead, plan)
    if (at < 0) {
      output.room(this.writer.roomFor(replyHead, plan))
      at = this.writer.reply(output.bytes, output.length, replyHead, plan)
    }
    output.length = at
  }

  /** An answer of our own. */
  local(
    output: Output,
    request: IncomingRequest,
    route: Route | null,
    context: FilterContext,
    reply: Answer,
    closes: boolean,
  ): void {
    const { head, isRead } = request
    const hasFilters = route !== null && isRead && route.responseFilters.length > 0
    const edits = hasFilters ? filterEdits(route, context, reply.status) : null
    const isHead = isRead && head.methodId === Method.head
    output.append(this.replies.format(reply, edits, isHead, closes, isRead ? head.minor : 1))
  }

  /** Whole request head in a buffer of its own, for a copy that is sent later (mirrors). */
  copyOf(request: IncomingRequest, route: Route, edits: HeaderEdits | null, authority: string): Buffer {
    const { head } = request
    const plan: RequestPlan = {
      ...this.requestPlan,
      routeEdits: route.requestEdits,
      destinationEdits: edits,
      extra: null,
      extraLength: 0,
      target: route.rewritePath === null ? null : rewrittenTarget(route.rewritePath(request), request.query),
      authority: Buffer.from(authority, 'latin1'),
      upgrades: false,
      dropsExpect: true,
    }
    const out = Buffer.allocUnsafe(this.writer.roomFor(head, plan))
    const length = this.writer.request(out, 0, head, plan)
    return out.subarray(0, Math.max(0, length))
  }
}

function rewrittenTarget(path: string, query: string): Buffer {
  return Buffer.from(query === '' ? path : `${path}?${query}`, 'latin1')
}

/** What the filters of the route do to a head with this status; null for nothing. */
function filterEdits(route: Route, context: FilterContext, status: number): HeaderEdits[] | null {
  let all: HeaderEdits[] | null = null
  for (const filter of route.responseFilters) {
    const edits = filter.onResponse(context, status)
    if (edits !== null) (all ??= []).push(edits)
  }
  return all
}
