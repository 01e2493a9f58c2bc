import type { ClosedBy, ClosedStreams } from './closed-streams.ts'
import type { Http2Bounds } from './deps.ts'
import type { Flow, FlowSession } from './flow.ts'
import type { H2Error } from './frames.ts'
import type { RemoteSettings } from './remote-settings.ts'
import type { Sender } from './sender.ts'

/** Who has a session: the caller's connection, or the link to an endpoint. */
export interface SessionOwner {
  /** Server only: the peer opens a stream, whose head the flow's user is told next. null = refused (REFUSED_STREAM). */
  takeFlow(): Flow | null
  /** A stream is over, and its place is free. */
  onStreamEnd(): void
  /** SETTINGS of the peer were taken. */
  onSettings(): void
  /** A ping of ours was answered. */
  onPong(): void
  /** The peer says that it opens, or answers, no more streams. Those that it will not answer were reset before. */
  onGoAway(code: number): void
  /** The connection is over; every open stream was reset before. Nothing more is called. `why` for logs. */
  onClosed(why: string): void
}

/** A session, as its own parts use it. */
export interface SessionCore extends FlowSession {
  readonly isServer: boolean
  readonly bounds: Http2Bounds
  readonly isEnding: boolean
  readonly owner: SessionOwner
  readonly sender: Sender
  readonly remote: RemoteSettings
  readonly streams: Map<number, Flow>
  readonly closed: ClosedStreams
  isGoneAway: boolean
  lastId: number
  readonly promisedId: number
  pings: number
  add(flow: Flow, id: number): void
  remove(flow: Flow, reason: ClosedBy): void
  streamError(flow: Flow, code: H2Error, why: string): void
  strayError(id: number, code: H2Error): void
  fail(code: H2Error, why: string): false
}
