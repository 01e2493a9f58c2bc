import type { ErrorCode } from '../../../contracts/errors.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { LoggedRequest } from '../observe/logged-request.ts'
import type { Route } from '../route/types.ts'
import { localServiceOf, serviceNameOf } from './logged-connection.ts'
import type { LogDeps } from './logged-connection.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import { requestIdField } from './request-id.ts'
import type { RequestId } from './request-id.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'
import type { TraceContext } from './trace-context.ts'

/** What is written of an exchange. */
export interface LoggedExchange {
  readonly stream: DownstreamStream
  readonly request: RequestMessage
  /** Whether there was a whole head; its facts must not be read otherwise. */
  readonly hasRequest: boolean
  readonly requestBytes: number
  readonly reply: OutgoingReply
  readonly call: { readonly status: number }
  readonly startedAt: number
  readonly service: string | undefined
  readonly endpoint: EndpointState | null
  readonly routing: { readonly route: Route | null }
  readonly tries: { readonly count: number; readonly visit: { readonly upstream: Upstream | null } }
  readonly outgoing: { readonly trace: TraceContext; readonly requestId: RequestId }
}

/**
 * The facts of a finished exchange, for whoever is told of it: one per worker, filled anew for each. Nothing is worked
 * out that nobody asks for, and nothing may be kept of it but what was read.
 */
export class FinishedRequest implements LoggedRequest {
  private readonly deps: LogDeps
  private exchange!: LoggedExchange
  private pathText: string | undefined
  /** The name in the last service key, which is mostly that of the next one. */
  private serviceKey: string | undefined
  private serviceName = '-'

  constructor(deps: LogDeps) {
    this.deps = deps
  }

  of(exchange: LoggedExchange): this {
    this.exchange = exchange
    this.pathText = undefined
    return this
  }

  /** There was a whole head. */
  private get request(): RequestMessage | undefined {
    return this.exchange.hasRequest ? this.exchange.request : undefined
  }
  get method(): string {
    return this.request?.method ?? '-'
  }
  get path(): string {
    return (this.pathText ??= this.query === '' ? this.barePath : `${this.barePath}?${this.query}`)
  }
  get barePath(): string {
    return this.request?.path ?? '-'
  }
  get query(): string {
    return this.request?.query ?? ''
  }
  copyTarget(into: Uint8Array, at: number, most: number): number {
    return this.request?.copyTarget?.(into, at, most) ?? -1
  }
  get authority(): string {
    return this.request?.authority ?? '-'
  }
  get protocol(): string {
    return this.request?.protocol ?? '-'
  }
  get status(): number {
    return this.exchange.reply.status
  }
  get grpcStatus(): number {
    return this.exchange.call.status
  }
  get streamId(): number {
    return this.exchange.stream.streamId
  }
  get code(): ErrorCode | undefined {
    return this.exchange.reply.code
  }
  get flag(): string {
    return this.exchange.reply.flag
  }
  get details(): string {
    return this.exchange.reply.details
  }
  get notes(): string {
    return this.exchange.reply.notes
  }
  get durationMs(): number {
    return this.deps.clock.now - this.exchange.startedAt
  }
  get headMs(): number {
    return this.exchange.reply.headMs
  }
  get requestBytes(): number {
    return this.exchange.requestBytes
  }
  get replyBytes(): number {
    return this.exchange.reply.bytes
  }
  get sourceAddress(): string {
    return this.exchange.stream.sourceAddress
  }
  get sourceApp(): string {
    return this.exchange.request.source?.app ?? '-'
  }
  get upstreamId(): string {
    return this.exchange.endpoint?.id ?? '-'
  }
  get upstreamCluster(): string {
    return this.exchange.tries.visit.upstream?.cluster.name ?? '-'
  }
  get routeName(): string {
    return this.exchange.routing.route?.spec.name ?? '-'
  }
  get listenerName(): string {
    return this.exchange.stream.accepted.listener.name
  }
  get attempts(): number {
    return this.exchange.tries.count
  }
  get traceId(): string {
    return this.request === undefined ? '' : this.exchange.outgoing.trace.text || callersTraceId(this.request)
  }
  get spanId(): string {
    return this.exchange.outgoing.trace.spanText
  }
  get ids(): TraceContext | undefined {
    return this.exchange.hasRequest ? this.exchange.outgoing.trace : undefined
  }
  get reporter(): 'source' | 'destination' {
    return this.exchange.stream.accepted.listener.reporter
  }
  get service(): string {
    const { service } = this.exchange
    if (service !== this.serviceKey) {
      this.serviceKey = service
      this.serviceName = serviceNameOf(service)
    }
    return this.serviceName
  }
  get localService(): string {
    return localServiceOf(this.exchange.stream.accepted, this.exchange.request.source?.app)
  }
  get tier(): string {
    return this.deps.mesh.node.tier
  }
  get givenId(): Uint8Array | undefined {
    const { requestId } = this.exchange.outgoing
    return this.exchange.hasRequest && requestId.isSent ? requestId.bytes : undefined
  }
  header(name: string): string | undefined {
    const { request } = this
    if (request === undefined) return undefined
    return (name === requestIdField ? this.exchange.outgoing.requestId.text : undefined) ?? request.header(name)
  }
  replyField(name: string): string | undefined {
    return this.exchange.reply.fields.get(name)
  }
}

function callersTraceId(request: RequestMessage): string {
  const parent = request.header('traceparent')
  if (parent !== undefined) return parent.split('-')[1] ?? ''
  const b3 = request.header('b3')
  if (b3 !== undefined) return b3.split('-')[0] ?? ''
  return request.header('x-b3-traceid') ?? ''
}
