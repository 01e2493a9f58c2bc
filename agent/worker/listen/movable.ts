/**
 * Live connections that can leave this process and go on in another one (docs/continuity.md). The data path implements
 * it; `handoff/` uses it.
 *
 * How a move goes: `handoff/` asks the registry for connections, calls `detach()` when one is ready, sends the state
 * and the descriptors, and closes the descriptors when the receiver has them. From `detach()` on this process reads and
 * writes nothing on the connection; bytes that arrive wait in the kernel. When the receiver refuses, the same state and
 * descriptors are given to `adopt()` of this process and the connection goes on here.
 */
import type { StreamFacts } from '../../../contracts/live-view.ts'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { ConnectionProtocol } from '../../../contracts/protocols.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { TransportState } from '../transport/transport.ts'
import type { Tunnel } from './tunnels/tunnel.ts'

/**
 * Version of the shapes below. The first holds connections whose transports have no state of their own, and is what the
 * release before knows too; the second adds that state. The first is written wherever it says everything, so that such
 * connections move between releases in both directions. A value that the receiver does not know is refused with
 * E_HANDOFF_VERSION, and the connection is drained where it is.
 */
export const movedConnectionFormat = 1
export const movedTransportsFormat = 2

export type MovedFormat =
  | { readonly format: typeof movedConnectionFormat }
  /** One state per descriptor, in their order. */
  | { readonly format: typeof movedTransportsFormat; readonly transports: readonly (TransportState | null)[] }

export interface MovedPeer {
  readonly address: string
  readonly port: number
  readonly localAddress: string
  readonly localPort: number
}

/** What the PROXY protocol header of the connection said; null when there was none. */
export interface MovedProxyInfo {
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  /** Service key of the TLV, empty for the shared HTTP port; undefined when the TLV was absent. */
  readonly service: string | undefined
  readonly host: string | undefined
}

/** What a moved connection of a caller says, whatever its protocol. */
export interface MovedAccepted {
  /** Name of the listener that accepted it; the receiver must have a listener of this name. */
  readonly listener: string
  readonly peer: MovedPeer
  readonly proxy: MovedProxyInfo | null
  /** The calling application, when it was found out at the accept. */
  readonly source?: SourceAppSpec | undefined
  /** Who the caller is; absent from a release that did not know. */
  readonly identity?: PeerIdentity
  /** The caller named where its bytes go. */
  readonly tunnel?: Omit<Tunnel, 'opening'>
  /** Of its TLS hello, at a gateway. */
  readonly serverName?: string
  /** Ms since the connection was accepted. */
  readonly ageMs: number
}

/** An HTTP/1.1 connection between two requests. One descriptor. */
export type MovedHttp1 = MovedFormat & MovedAccepted & Http1State

interface Http1State {
  readonly protocol: 'http1'
  /** base64: received and not consumed: nothing, a partial head, or pipelined requests. */
  readonly received: string
  /** Requests served so far. */
  readonly served: number
  /** It was told to end after its next answer. */
  readonly isDraining?: boolean
}

/** An HTTP/2 connection without an open stream. One descriptor. */
export type MovedHttp2 = MovedFormat & MovedAccepted & Http2State

interface Http2State {
  readonly protocol: 'http2'
  readonly served: number
  /** Of `protocols/http2/session-state.ts`. */
  readonly session: unknown
}

/** A connection in private RPC that owes no reply. One descriptor. */
export type MovedRpc = MovedFormat & MovedAccepted & RpcState

interface RpcState {
  readonly protocol: 'rpc'
  /** Name of the protocol; `auto` = it is not found out yet. */
  readonly codec: string
  /** base64: received and not consumed: nothing, a part of a frame, or frames. */
  readonly received: string
  /** Requests served so far. */
  readonly served: number
}

/**
 * A TCP connection or an upgraded one (WebSocket) with its upstream. Two descriptors: downstream, upstream.
 * `toUpstream` and `toDownstream` are base64: bytes that were read from the other side and are not yet in the kernel's
 * send buffer.
 */
export type MovedPair = MovedFormat & MovedAccepted & PairState

interface PairState {
  readonly protocol: 'tcp' | 'websocket'
  readonly cluster: string
  /** `address:port` of the endpoint. */
  readonly endpoint: string
  readonly toUpstream: string
  readonly toDownstream: string
  /** Half-close: the side said it will send no more, and whether that FIN was passed on already. */
  readonly downstreamEnded: boolean
  readonly upstreamEnded: boolean
  readonly finSentUpstream: boolean
  readonly finSentDownstream: boolean
  readonly bytesUp: number
  readonly bytesDown: number
}

/**
 * An idle connection of an upstream pool: one that goes on from its transport alone, or with a link. One descriptor.
 */
export type MovedPooled = MovedFormat & PooledState

interface PooledState {
  readonly protocol: 'pooled' | 'pooled-link'
  /** What its codec told of it; absent from a release that moved none with a link, null = nothing. */
  readonly link?: object | null
  readonly cluster: string
  readonly endpoint: string
  readonly ageMs: number
  readonly requests: number
  /** SPIFFE id of the application that it is for alone; absent = the host's own. */
  readonly identity?: string | undefined
}

/**
 * Connections of callers with requests under way, and those to endpoints over which these run: they go together. One
 * descriptor each, of callers first.
 */
export type MovedCohort = MovedFormat & CohortState

interface CohortState {
  readonly protocol: 'http2-cohort'
  readonly callers: readonly MovedCaller[]
  readonly links: readonly MovedLink[]
  readonly exchanges: readonly MovedExchange[]
}

export interface MovedCaller extends MovedAccepted {
  readonly served: number
  /** How far it was told of its end. */
  readonly drain: number
  readonly session: unknown
  /** base64: written, and not in the kernel's send buffer. */
  readonly unsent: string
}

export interface MovedLink {
  readonly cluster: string
  readonly endpoint: string
  readonly ageMs: number
  readonly requests: number
  /** Of `protocols/http2/upstream-link.ts`. */
  readonly link: unknown
  readonly unsent: string
}

/** Positions in `callers` and `links`, the ids of its streams there, and what the parts know of it. */
export interface MovedExchange {
  readonly caller: number
  readonly callerStream: number
  readonly link: number
  readonly linkStream: number
  /** Of `protocols/http2/downstream-stream.ts` and `upstream-stream.ts`. */
  readonly down: unknown
  readonly up: unknown
  /** Of `forward/exchange-state.ts`. */
  readonly exchange: unknown
}

/** The session of a UDP caller. One descriptor: the socket towards the endpoint. */
export interface MovedDatagrams {
  readonly format: typeof movedConnectionFormat
  readonly protocol: 'udp'
  readonly listener: string
  /** At which share of the listener's port its caller is. */
  readonly shard: number
  /** base64: struct sockaddr of the caller. */
  readonly caller: string
  readonly cluster: string
  /** `address:port`; '' = it is not there, another one is wanted. */
  readonly endpoint: string
  readonly isProven: boolean
  readonly hasReply: boolean
  readonly bytesUp: number
  readonly bytesDown: number
  readonly ageMs: number
  /** Since the last datagram. */
  readonly idleMs: number
}

/** Of one caller, which moves by itself. */
export type MovedSingle = MovedHttp1 | MovedHttp2 | MovedRpc | MovedPair

export type MovedConnection = MovedSingle | MovedPooled | MovedCohort | MovedDatagrams

/**
 * What `detach()` gives: the descriptors belong to the caller, who closes them with `closeDescriptor` when the receiver
 * has acknowledged.
 */
export interface Detached {
  readonly state: MovedConnection
  readonly descriptors: readonly number[]
}

export interface DescriptorCopies {
  /** dup(2) of a descriptor with close-on-exec; throws when the process has no descriptor left. */
  duplicate(descriptor: number): number
  close(descriptor: number): void
}

export interface Movable {
  /** Grows with each connection of this process. */
  readonly id: number
  /** For reports; how it drains it says itself. */
  readonly protocol: ConnectionProtocol | 'pooled' | 'udp'
  readonly listener: string
  /** Whether `detach()` may be called now: not in the middle of a request, of a dial, or of a PROXY header. */
  readonly isReady: boolean
  /**
   * Calls `callback(this)` once, as soon as the connection is ready (a busy HTTP/1.1 connection: right after its
   * current response), or never if it ends before. Called at the end of the event that made it ready, never from inside
   * `whenReady`. A second call replaces the callback, null removes it.
   */
  whenReady(callback: ((connection: Movable) => void) | null): void
  /**
   * Takes the connection out of this process: stops reading, drops libuv's hold without FIN, and removes it from the
   * registry, all in one go. Answers undefined when it is not ready or has just ended. Throws what `copies.duplicate`
   * throws; the connection then goes on here.
   */
  detach(copies: DescriptorCopies): Detached | undefined
  /** Whether it carried anything since the last call: a request or a part of one, bytes of a pair. */
  takeActivity(): boolean
  /** Nothing is in flight: closing it now loses nothing. Never true of a pair, whose bytes have no end. */
  readonly isIdle: boolean
  /**
   * Asks it to end by its protocol's own means: HTTP/1.1 says `Connection: close` with the answer in hand, or the next
   * one; a pooled connection closes; a pair knows no such means and goes on until it ends by itself or `abort` is
   * called.
   */
  drain(): void
  /** Closes it now, whatever is in flight. */
  abort(): void
  /** Called now and then: looks whether a caller that is not read has gone; absent where all are always read. */
  lookForEnd?(): void
  /** For an operator's list; absent where nothing more is known. */
  describe?(): ConnectionFacts
  /** Requests in flight; absent where there are none that could be told. */
  inFlight?(): Iterable<LiveStream>
  /** Connections of callers that leave together as this one. */
  readonly members?: readonly Movable[]
}

/** A request in flight, for an operator. */
export interface LiveStream {
  /** No other request of its connection has it, before or after: who means this one must not end the next. */
  readonly ordinal: number
  /** `startedAt`: monotonic ms. null = its head is not whole. */
  readonly facts: (StreamFacts & { readonly startedAt: number }) | null
  endBy(why: string): void
}

export interface ConnectionFacts {
  /** Of the caller. */
  readonly address: string
  readonly port: number
  /** Monotonic ms. */
  readonly startedAt: number
  readonly sourceApp: string | undefined
  /** HTTP: served so far. */
  readonly requests?: number
  /** HTTP/2: open now. */
  readonly streams?: number
  /** Raw bytes: the endpoint, and how many came from and went to the caller. */
  readonly upstream?: string
  readonly bytesUp?: number
  readonly bytesDown?: number
}

/** All live connections of a worker that can move: accepted ones first, then the idle ones of the upstream pools. */
export interface LiveConnections {
  readonly size: number
  /**
   * Accepted and not movable yet: a PROXY header, a calling application, a service or a dial is waited for. Each
   * becomes a connection of `list`, or ends.
   */
  readonly arriving: number
  /** A copy: connections may end or detach while the caller walks. */
  list(): Movable[]
  listPooled(): Movable[]
  /** Of those of `list` that cannot leave alone: each group that can leave together now. */
  listCohorts(): Movable[]
  /** Those of `list` that carried something since the last call. */
  takeActive(): Movable[]
  /**
   * Goes on with a connection that came from another process, or came back. From here on the descriptors belong to this
   * process, also on failure. Errors: E_HANDOFF_VERSION for another format, E_HANDOFF_REFUSED for an unknown listener
   * or cluster or a malformed state (the descriptors are then closed).
   */
  adopt(state: unknown, descriptors: readonly number[]): Movable
  /** Called for each connection that is accepted or adopted after this call; null removes it. */
  onNew: ((connection: Movable) => void) | null
}
