/**
 * What an operator sees of live traffic: single requests (`hostmesh tap`), open connections (`hostmesh connections`),
 * figures by service (`hostmesh top`). Questions travel over the control link.
 */

/** Which requests a tap shows; what is absent matches everything. */
export interface TapFilter {
  /** Name of a service, without namespace and group. */
  readonly service?: string
  /** `404`, or a class such as `5xx`. */
  readonly status?: string
  readonly method?: string
  readonly pathPrefix?: string
  /** Calling application. */
  readonly source?: string
  readonly leastMs?: number
  /** Only what failed: status 500 and more, an error code of ours, or a response flag. */
  readonly failed?: boolean
}

export interface TapQuestion {
  readonly kind: 'tap'
  /** Chosen by who asks; the tap begins with the first question and ends 5 s after the last one. */
  readonly id: string
  readonly filter: TapFilter
}

/** What came since the last question. */
export interface TapAnswer {
  readonly requests: readonly TappedRequest[]
  /** Not shown, for more came than a tap takes; may have matched: by status, time and failure they did. */
  readonly skipped: number
  /** Why there is no tap. */
  readonly refused?: string
}

export interface TappedRequest {
  /** Epoch ms of its end. */
  readonly at: number
  readonly reporter: 'source' | 'destination'
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly authority: string
  readonly protocol: string
  readonly status: number
  readonly flag: string
  readonly code: string | undefined
  readonly durationMs: number
  readonly requestBytes: number
  readonly replyBytes: number
  readonly sourceAddress: string
  readonly sourceApp: string
  readonly service: string
  readonly upstream: string
  readonly route: string
  readonly attempts: number
  readonly tier: string
  readonly traceId: string
}

/** Which connections; what is absent matches everything. */
export interface ConnectionFilter {
  /** `PID-NUMBER` as in the list. */
  readonly ids?: readonly string[]
  readonly listener?: string
  readonly protocol?: string
  /** Address of the caller, with or without port. */
  readonly peer?: string
}

export interface ConnectionsQuestion {
  readonly kind: 'connections'
  readonly filter: ConnectionFilter
}

export interface CloseConnectionsQuestion {
  readonly kind: 'close-connections'
  readonly filter: ConnectionFilter
  /** `end`: by its protocol's own means, behind what is in flight; `cut`: now. */
  readonly how: 'end' | 'cut'
}

export interface ConnectionsAnswer {
  /** At most `maxListedConnections`. */
  readonly connections: readonly ConnectionRow[]
  /** That match, listed or not. */
  readonly total: number
}

/** Which requests in flight; what is absent matches everything. */
export interface StreamFilter {
  /** `PID-CONNECTION-STREAM` as in the list. */
  readonly ids?: readonly string[]
  readonly listener?: string
  /** Name of a service, or its whole key. */
  readonly service?: string
  /** Address of the caller, with or without port. */
  readonly peer?: string
  /** In flight for so long. */
  readonly leastMs?: number
}

export interface StreamsQuestion {
  readonly kind: 'streams'
  readonly filter: StreamFilter
}

export interface CloseStreamsQuestion {
  readonly kind: 'close-streams'
  readonly filter: StreamFilter
}

export interface StreamsAnswer {
  /** The oldest first, at most `maxListedConnections`. */
  readonly streams: readonly StreamRow[]
  /** That match, listed or not. */
  readonly total: number
}

/** A request in flight. */
export interface StreamFacts {
  /** `HTTP/2`, `grpc`, … */
  readonly protocol: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Key of the service; `-` = not routed yet. */
  readonly service: string
  /** Of the endpoint that works on it; `-` = none yet. */
  readonly upstream: string
  /** `waits` for an endpoint, is `sent` to one, or that one `answers`. */
  readonly state: 'waits' | 'sent' | 'answers'
  /** Content so far, from and to the caller. */
  readonly bytesUp: number
  readonly bytesDown: number
  /** Of gRPC. */
  readonly messagesUp?: number
  readonly messagesDown?: number
}

export interface StreamRow extends StreamFacts {
  readonly id: string
  readonly listener: string
  /** `address:port` of the caller. */
  readonly peer: string
  readonly sourceApp: string
  readonly ageMs: number
}

export const maxListedConnections = 1000

export interface ConnectionRow {
  readonly id: string
  readonly protocol: string
  readonly listener: string
  /** `address:port` of the caller. */
  readonly peer: string
  readonly sourceApp: string
  readonly isIdle: boolean
  readonly ageMs: number
  /** HTTP: requests served so far. */
  readonly requests: number | undefined
  /** HTTP/2: open now; absent from a release that did not say it. */
  readonly streams?: number | undefined
  /** TCP and WebSocket: the endpoint, and bytes from and to the caller. */
  readonly upstream: string | undefined
  readonly bytesUp: number | undefined
  readonly bytesDown: number | undefined
}
