import { isAgentInbound } from '../../../contracts/endpoint.ts'
import type { MeshSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import { joinedEdits } from '../route/header-edits.ts'
import type { Destination, HeaderEdits, Route } from '../route/types.ts'
import { requestIdField } from './request-id.ts'
import type { RequestId } from './request-id.ts'
import type { RequestEdits, RequestMessage } from './streams.ts'
import type { TraceContext } from './trace-context.ts'
import { brokenTrace, callersTrace, decideTrace } from './trace-decision.ts'

/** What the mesh changes in a request on its way to an endpoint. One per worker, filled anew for each attempt. */
export class RequestChanges implements RequestEdits {
  route: RequestEdits['route'] = null
  destination: RequestEdits['destination'] = null
  target: string | null = null
  authority: string | null = null
  source = ''
  trace: TraceContext | null = null
  requestId: Buffer | null = null
  grpcTimeout: string | null = null
  keepsAsks = true
  private readonly random: () => number
  /** By edits of filters: the rule that they last met, and both. */
  private readonly known = new WeakMap<HeaderEdits, { readonly rule: HeaderEdits; readonly both: HeaderEdits }>()

  constructor(random: () => number) {
    this.random = random
  }

  forAttempt(
    request: RequestMessage,
    route: Route | null,
    destination: Destination | null,
    filters: HeaderEdits | null,
    endpoint: EndpointState,
    trace: TraceContext,
    requestId: RequestId | null,
    tracing: MeshSpec['tracing'],
    isFromNetwork: boolean,
    grpcTimeout: string | null,
  ): RequestEdits {
    this.forRoute(request, route, destination, filters)
    const { source } = request
    this.source = source !== undefined && isAgentInbound(endpoint.endpoint) ? source.app : ''
    this.requestId = this.idFor(requestId)
    this.trace = this.traceFor(request, trace, tracing, isFromNetwork)
    this.authority = route === null ? null : (destination?.authority ?? route.rewriteAuthority)
    this.keepsAsks = true
    this.grpcTimeout = grpcTimeout
    return this
  }

  /** For a copy, whose `authority` says that it is one. */
  forMirror(
    request: RequestMessage,
    route: Route,
    destination: Destination,
    filters: HeaderEdits | null,
    authority: string,
    requestId: RequestId | null,
  ): RequestEdits {
    this.forRoute(request, route, destination, filters)
    this.source = ''
    this.trace = null
    this.requestId = this.idFor(requestId)
    this.authority = authority
    this.keepsAsks = false
    this.grpcTimeout = null
    return this
  }

  private forRoute(
    request: RequestMessage,
    route: Route | null,
    destination: Destination | null,
    filters: HeaderEdits | null,
  ): void {
    this.destination = destination === null ? null : destination.requestEdits
    // a destination's edits hold those of its route
    this.route = route === null || this.destination !== null ? null : route.requestEdits
    if (filters !== null) {
      this.route = this.behindFilters(filters, this.destination ?? this.route)
      this.destination = null
    }
    this.target = null
    if (route !== null && route.rewritePath !== null) {
      const path = route.rewritePath(request)
      const { query } = request
      this.target = query === '' ? path : `${path}?${query}`
    }
  }

  /** Rules stand behind filters. */
  private behindFilters(filters: HeaderEdits, rule: HeaderEdits | null): HeaderEdits {
    if (rule === null) return filters
    const known = this.known.get(filters)
    if (known !== undefined && known.rule === rule) return known.both
    const both = joinedEdits(filters, rule)
    this.known.set(filters, { rule, both })
    return both
  }

  /** After `forRoute`. What a rule sets or removes is the rule's. */
  private idFor(requestId: RequestId | null): Buffer | null {
    if (requestId === null) return null
    const isRules =
      (this.route !== null && this.route.drop.has(requestIdField)) ||
      (this.destination !== null && this.destination.drop.has(requestIdField))
    requestId.isSent = !isRules
    return isRules ? null : requestId.bytes
  }

  /**
   * The first attempt decides. Without a collector each attempt has a span of its own in the one trace of the request,
   * and the caller's trace passes as it came (null); a request that is recorded has one span, for all of its attempts.
   */
  private traceFor(
    request: RequestMessage,
    trace: TraceContext,
    tracing: MeshSpec['tracing'],
    isFromNetwork: boolean,
  ): TraceContext | null {
    if (!trace.isDecided) decideTrace(trace, request, tracing, isFromNetwork, this.random)
    if (!trace.isThere) return null
    if (!trace.isRecorded) trace.nextSpan(this.random)
    // a destination's edits hold those of its route, so one place is free
    if (trace.replaces) {
      const edits = trace.hasParent ? callersTrace : brokenTrace
      if (this.destination === null) this.destination = edits
      else this.route = edits
    }
    return trace
  }
}
