import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Route } from '../route/types.ts'
import type { GrpcCall } from './grpc/call.ts'
import type { MeshView } from './mesh-view.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import type { OutgoingRequest } from './outgoing-request.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'
import type { Tries } from './tries.ts'
import type { Routing } from './routing.ts'

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

  get source(): SourceAppSpec | undefined {
    return this.request.source
  }
  get callerKey(): string {
    return this.stream.callerKey
  }
  get reporter(): 'source' | 'destination' {
    return this.stream.accepted.listener.reporter
  }
  get requestBytes(): number {
    return this.outgoing.body.bytes
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
  get contentIdleMs(): number {
    return this.call.isOn ? 0 : this.deps.mesh.limits.bodyIdleTimeoutMs
  }
  get route(): Route | null {
    return this.routing.route
  }
  get isReplayable(): boolean {
    return this.outgoing.body.replay.isWhole
  }
}
