import type { ErrorCode } from '../../../contracts/errors.ts'

/** Ids of a trace, as bytes of lower-case hex. */
export interface TraceIds {
  /** There is a trace, and `traceId` is its id. */
  readonly isThere: boolean
  /** A span of ours goes to a collector, and `spanId` is its id. */
  readonly isRecorded: boolean
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
}

/** What is read of a finished request or connection, before the call in which it is told returns. */
export interface LoggedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** The same in its two parts, without `?`; '' = there is no query. */
  readonly barePath: string
  readonly query: string
  /**
   * Puts path and query, ASCII with `?` between them, into `into` from `at` on. Answers their length; -1 = they are to
   * be read as text, for they have more than `most` bytes or do not lie there as bytes.
   */
  copyTarget?(into: Uint8Array, at: number, most: number): number
  readonly authority: string
  readonly status: number
  /** Of gRPC; -1 = none was said. */
  readonly grpcStatus: number
  /** Of HTTP/2, on its connection; 0 = the protocol has none. */
  readonly streamId: number
  readonly code: ErrorCode | undefined
  readonly flag: string
  /** Why we answered, in Envoy's words; '' = the code says it. */
  readonly details: string
  /** What policies say of it beside what became of it; '' = nothing. */
  readonly notes: string
  readonly durationMs: number
  /** Until the reply began; -1 = it never did. */
  readonly headMs: number
  readonly requestBytes: number
  readonly replyBytes: number
  readonly sourceAddress: string
  readonly sourceApp: string
  readonly upstreamId: string
  readonly upstreamCluster: string
  readonly routeName: string
  readonly listenerName: string
  readonly attempts: number
  readonly traceId: string
  /** Of the span that is recorded of it; '' = none. */
  readonly spanId: string
  /** The same where they are ours to pass on; undefined, or not there: the caller's may still stand in `traceId`. */
  readonly ids: TraceIds | undefined
  /**
   * Which side of the call we are on: `source` towards a service, `destination` in front of an application of this
   * host.
   */
  readonly reporter: 'source' | 'destination'
  /** Name of the service that was called, without namespace and group; `-` = none was found. */
  readonly service: string
  /** The application of this host that calls or is called; `hostmesh` where it is not known. */
  readonly localService: string
  readonly tier: string
  readonly protocol: string
  /** The `x-request-id` that we gave it, in ASCII; undefined = its caller brought one, or it has none. */
  readonly givenId: Uint8Array | undefined
  /** First value of a field of the request; `name` in lower case. */
  header(name: string): string | undefined
  /** First value of a field of the reply, of those that the log asked for; `name` in lower case. */
  replyField(name: string): string | undefined
}
