import type { ErrorCode } from '../../../contracts/errors.ts'

/** What is read of a finished request or connection. */
export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly authority: string
  readonly status: number
  /** Of gRPC; -1 = none was said. */
  readonly grpcStatus: number
  readonly code: ErrorCode | undefined
  readonly flag: string
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
  /** First value of a field of the request; `name` in lower case. */
  header(name: string): string | undefined
}
