import type { MeshSpec } from '../../../contracts/snapshot.ts'
import type { Answer } from '../filters/answer.ts'
import type { Route } from '../route/types.ts'
import type { Clock } from '../transport/clock.ts'
import type { Attempt } from './attempt.ts'
import type { GrpcCall } from './grpc/call.ts'
import type { WebCall } from './grpc/web-call.ts'
import type { MirrorRun, Mirrors } from './mirrors.ts'
import { RequestBody } from './request-body.ts'
import type { RequestChanges } from './request-edits.ts'
import { RequestId, requestIdField } from './request-id.ts'
import type { RunningAttempts } from './running-attempts.ts'
import type { DownstreamStream, Fields, HeaderEdits, UpstreamStream } from './streams.ts'
import { TraceContext } from './trace-context.ts'
import type { Routing } from './routing.ts'

/** Characters of a caller's own id that an answer repeats; no maker of ids writes longer ones. */
const maxToldId = 128

const nothing: ReadonlySet<string> = new Set()

export interface OutgoingRequestDeps {
  readonly clock: Clock
  readonly mesh: { readonly mesh: Pick<MeshSpec, 'tracing' | 'generateRequestId'> }
  readonly mirrors: Pick<Mirrors, 'start'>
  readonly random: () => number
  readonly requestChanges: RequestChanges
}

/** Whether a peer of the network sent it, and no application of this host. */
export function isFromNetwork({ accepted }: DownstreamStream): boolean {
  const { kind } = accepted.listener
  return kind === 'inbound' || kind === 'relay' || kind === 'gateway'
}

/**
 * The request on its way to endpoints: its content as far as it came, the attempt where it goes on, its copies. Reused
 * with its exchange.
 */
export class OutgoingRequest {
  readonly body: RequestBody = new RequestBody()
  readonly trace: TraceContext = new TraceContext()
  readonly requestId: RequestId = new RequestId()
  private readonly deps: OutgoingRequestDeps
  private readonly stream: DownstreamStream
  private readonly routing: Routing
  private readonly running: RunningAttempts<Attempt>
  private readonly call: GrpcCall
  private copies: MirrorRun | null = null

  constructor(
    deps: OutgoingRequestDeps,
    stream: DownstreamStream,
    routing: Routing,
    running: RunningAttempts<Attempt>,
    call: GrpcCall,
  ) {
    this.deps = deps
    this.stream = stream
    this.routing = routing
    this.running = running
    this.call = call
  }

  /** Where the content goes on: the attempt that has a connection. */
  get sink(): Attempt | null {
    const { newest } = this.running
    return newest !== null && newest.isStreaming ? newest : null
  }

  accepts(count: number): boolean {
    return this.body.accepts(count, this.sink !== null)
  }

  content(buf: Buffer, from: number, to: number): void {
    const { web } = this.call
    if (web === null || !web.decodes) {
      this.pass(buf, from, to)
      return
    }
    const bytes = web.decode(buf, from, to)
    this.body.bytes += to - from - bytes.length
    this.pass(bytes, 0, bytes.length)
  }

  /** The call came in gRPC-Web, and goes on in gRPC. */
  beginWeb(web: WebCall): void {
    const { body } = this
    if (web.decodes) {
      const came = Buffer.from(body.replay.bytes.subarray(0, body.replay.length))
      body.replay.reset()
      const bytes = web.decode(came, 0, came.length)
      body.replay.keep(bytes, 0, bytes.length)
    }
    if (body.isDone) web.endContent()
    this.countMessages()
  }

  private pass(buf: Buffer, from: number, to: number): void {
    this.body.take(buf, from, to)
    this.sink?.content(buf, from, to)
    const { isOn, sent, web } = this.call
    // of a call in gRPC-Web what came before it was led anywhere is counted then
    if (isOn && (web === null || web.isOn)) sent.take(buf, from, to)
    this.copies?.content(buf, from, to)
  }

  /** Those of the content that came with the head. */
  countMessages(): void {
    const { replay } = this.body
    this.call.sent.take(replay.bytes, 0, replay.length)
  }

  end(trailers: Fields | null): void {
    this.body.end(trailers)
    const { web } = this.call
    web?.endContent()
    // an application would take the end for that of a whole request
    if (web?.isBroken === true) return
    this.sink?.endContent(trailers)
    this.copies?.end(trailers)
  }

  /** False = the endpoint takes no more. */
  flush(): boolean {
    const { sink } = this
    const isTaken = sink === null || sink.flush()
    this.copies?.flush()
    return isTaken
  }

  get hasCopies(): boolean {
    return this.copies !== null
  }

  startCopies(route: Route): void {
    const { web } = this.call
    const request = web?.isOn === true ? web.request : this.stream.request
    const copied = { request, requestId: this.idOfOurs(), edits: this.routing.requestEdits }
    this.copies = this.deps.mirrors.start(copied, this.body, route)
  }

  /** Gives an attempt that has a connection the request as far as it came, unflushed. */
  send(attempt: Attempt, upstream: UpstreamStream): void {
    const { body, call, stream, trace } = this
    const { clock, mesh, requestChanges } = this.deps
    const { destination, requestEdits, route } = this.routing
    const { replay } = body
    const request = call.web?.isOn === true ? call.web.request : stream.request
    const { tracing } = mesh.mesh
    const left = call.timeLeft(clock.now, route?.retry?.spec.perTryTimeoutMs ?? 0)
    const id = this.idOfOurs()
    upstream.send(
      request,
      requestChanges.forAttempt(
        request,
        route,
        destination,
        requestEdits,
        attempt.state!,
        trace,
        id,
        tracing,
        isFromNetwork(stream),
        left,
      ),
    )
    if (replay.length > 0) upstream.content(replay.bytes, 0, replay.length)
    if (body.isDone && call.web?.isBroken !== true) upstream.end(body.trailers)
    else stream.resumeSoon()
  }

  /** Made at the first need, for a request that came without one; null = none of ours. */
  private idOfOurs(): RequestId | null {
    const { deps, requestId } = this
    if (requestId.isThere) return requestId
    if (deps.mesh.mesh.generateRequestId !== true) return null
    if (this.stream.request.header(requestIdField) !== undefined) return null
    requestId.begin(deps.random)
    return requestId
  }

  /**
   * For an error that we answer, or what a rule does: `x-request-id` of the request, or one made for it, so that its
   * caller can name the line of the log.
   */
  withRequestId({ code }: Answer, edits: HeaderEdits[] | null): HeaderEdits[] | null {
    if (code === undefined && this.routing.host?.isOwn !== false) return edits
    const own = this.idOfOurs()
    if (own !== null) own.isSent = true
    const id = own?.text ?? this.stream.request.header(requestIdField)
    if (id === undefined || id === '' || id.length > maxToldId) return edits
    return [...(edits ?? []), { fields: [[requestIdField, id]], drop: nothing }]
  }

  /** For the next request. */
  reset(): void {
    if (this.copies !== null) {
      this.copies.leave()
      this.copies = null
    }
    this.body.reset()
    this.trace.reset()
    this.requestId.reset()
  }
}
