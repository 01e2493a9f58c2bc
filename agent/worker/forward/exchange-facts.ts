import type { RpcProtocol } from '../../../contracts/protocols.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import { provedCaller } from '../listen/accepted.ts'
import type { Route } from '../route/types.ts'
import type { GrpcCall } from './grpc/call.ts'
import type { MeshView } from './mesh-view.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import type { OutgoingRequest } from './outgoing-request.ts'
import { maxReplayBytes } from './replay-buffer.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'
import type { Tries } from './tries.ts'
import type { Routing } from './routing.ts'

/**
 * Content of unknown length of which so much came before the first connection: its sender does not wait, so more is
 * under way than an agent keeps.
 */
const longBytes = 16_384

/** What metrics, the access log and attempts read of an exchange. */
export abstract class ExchangeFacts {
  abstract readonly stream: DownstreamStream
  abstract readonly request: RequestMessage
  abstract readonly routing: Routing
  abstract readonly tries: Tries
  abstract readonly outgoing: OutgoingRequest
  abstract readonly reply: OutgoingReply
  abstract readonly call: GrpcCall
  protected abstract readonly deps: { readonly mesh: Pick<MeshView, 'limits'> }

  /** From a host whose own agent cannot serve it: that host may know better. */
  get isRelayed(): boolean {
    return this.stream.accepted.listener.kind === 'relay'
  }
  get source(): SourceAppSpec | undefined {
    return this.request.source
  }
  get callerId(): string {
    return provedCaller(this.stream.accepted)
  }
  get callerKey(): string {
    return this.stream.account.name
  }
  get reporter(): 'source' | 'destination' {
    return this.stream.accepted.listener.reporter
  }
  get requestBytes(): number {
    return this.speaks === null ? this.outgoing.body.bytes : this.request.contentLength
  }
  get speaks(): RpcProtocol | null {
    return this.request.speaks
  }
  get status(): number {
    return this.reply.status
  }
  get flag(): string {
    return this.reply.flag
  }
  get replyBytes(): number {
    return this.reply.bytes
  }
  get endpoint(): EndpointState | null {
    return this.tries.endpoint
  }
  /** Service key of the destination, undefined when the request never got that far. */
  get service(): string | undefined {
    return this.tries.visit.upstream?.cluster.service ?? this.routing.destination?.spec.service
  }
  get perTryTimeoutMs(): number {
    return this.routing.route?.retry?.spec.perTryTimeoutMs ?? 0
  }
  /** Time for the whole of it; the caller may want less than the limit. */
  get allowedMs(): number {
    const { requestTimeoutMs } = this.deps.mesh.limits
    const { callerTimeoutMs } = this.request
    return callerTimeoutMs > 0 && callerTimeoutMs < requestTimeoutMs ? callerTimeoutMs : requestTimeoutMs
  }
  get contentIdleMs(): number {
    return this.call.isOn ? 0 : this.deps.mesh.limits.bodyIdleTimeoutMs
  }
  get route(): Route | null {
    return this.routing.route
  }
  get isReplayable(): boolean {
    return this.outgoing.body.replay.isWhole
  }
  /** It came to its end, and can be sent again. */
  get isWhole(): boolean {
    const { isDone, replay } = this.outgoing.body
    return (isDone || !this.request.hasContent) && replay.isWhole
  }
  /** The agent of its caller has not kept all of it: where we cannot bring it, nobody brings it any more. */
  get isOnlyHere(): boolean {
    const { accepted, request } = this.stream
    const { body } = this.outgoing
    const isOpen = request.contentLength < 0 && !body.isDone && !this.call.isOn
    const isLong = isOpen ? body.bytes >= longBytes : request.contentLength > maxReplayBytes
    return isLong && this.isReplayable && accepted.listener.kind === 'inbound'
  }
}
