/**
 * Plain counters of the data path, each the metric of a bound or of a decision. Grow from the start of the worker, or
 * from what its predecessor handed over.
 */
export class Tallies {
  acceptedConnections = 0
  /** Shed at the bound of the worker or of a relay listener. */
  shedConnections = 0
  /** Closed at the bound of the worker while they rested, for a new one. */
  yieldedConnections = 0
  overShareConnections = 0
  memorySheds = 0
  badProxyHeaders = 0
  helloTimeouts = 0
  loopDials = 0
  otherUserDials = 0
  relayStrangers = 0
  relayProofs = 0
  relayRefusedHosts = 0
  /** To and from workers of the same generation. */
  givenConnections = 0
  takenConnections = 0
  requestLineLimits = 0
  headLimits = 0
  fieldLimits = 0
  chunkLineLimits = 0
  chunkExtensionLimits = 0
  trailerLimits = 0
  interimLimits = 0
  pipelineLimits = 0
  drainLimits = 0
  drainTimeouts = 0
  keepAliveTimeouts = 0
  requestTimeouts = 0
  replyBodyTimeouts = 0
  headTimeouts = 0
  bodyTimeouts = 0
  stalledCallers = 0
  abandonedRequests = 0
  truncatedReplies = 0
  retries = 0
  retriesRefused = 0
  unreadRepeats = 0
  reusedConnectionRepeats = 0
  undelivered = 0
  hedges = 0
  hedgesWon = 0
  hedgesRefused = 0
  grpcWebCalls = 0
  applicationWaits = 0
  faultDelays = 0
  faultAborts = 0
  preflights = 0
  redirects = 0
  directResponses = 0
  rateLimited = 0
  forgottenCallers = 0
  fallbacks = 0
  tunnels = 0
  tunnelRefusals = 0
  routeOverrides = 0
  routeOverridesIgnored = 0
  routeOverridesRefused = 0
  parkedRequests = 0
  parkTimeouts = 0
  parkOverflows = 0
  unknownNameRefusals = 0
  idlePairs = 0
  tcpConnectFailures = 0
  droppedLogLines = 0
  http2ConnectionErrors = 0
  http2ResetFloods = 0
  http2FrameFloods = 0
  http2SmallFrames = 0
  http2HeadFloods = 0
  http2RefusedStreams = 0
  rpcBrokenFrames = 0
  rpcLimits = 0
  rpcStrayFrames = 0
  undetectedProtocols = 0
  droppedLogRecords = 0
  recordedSpans = 0
  droppedSpans = 0
  tapSkips = 0

  reset(): void {
    for (const [name] of tallyMetrics) this[name] = 0
  }

  exportState(): Record<string, number> {
    return Object.fromEntries(tallyMetrics.map(([name]) => [name, this[name]]))
  }

  /** Adds a predecessor's counts; tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    const mine = this as unknown as Record<string, number>
    for (const [name, value] of Object.entries(state)) {
      if (typeof mine[name] === 'number' && typeof value === 'number' && Number.isFinite(value)) mine[name] += value
    }
  }
}

/** The counters of a `Tallies`. */
export type TallyName = { [K in keyof Tallies]: Tallies[K] extends number ? K : never }[keyof Tallies]

/** Prometheus name and help of each tally. */
export const tallyMetrics: readonly (readonly [TallyName, string, string])[] = [
  ['acceptedConnections', 'hostmesh_connections_accepted_total', 'Connections accepted'],
  ['memorySheds', 'hostmesh_memory_sheds_total', 'Connections closed because the worker is short of memory'],
  ['shedConnections', 'hostmesh_connections_shed_total', 'Connections closed at a bound on connections'],
  [
    'yieldedConnections',
    'hostmesh_connections_yielded_total',
    'Resting connections closed at the bound on connections, each for a new one',
  ],
  [
    'overShareConnections',
    'hostmesh_connections_over_share_total',
    'Connections closed because their caller has its share of a crowded worker',
  ],
  [
    'givenConnections',
    'hostmesh_connections_given_total',
    'Connections given to a less busy worker of the same generation',
  ],
  [
    'takenConnections',
    'hostmesh_connections_taken_total',
    'Connections taken from a busier worker of the same generation',
  ],
  [
    'badProxyHeaders',
    'hostmesh_proxy_protocol_errors_total',
    'Connections closed for a malformed PROXY protocol header',
  ],
  [
    'helloTimeouts',
    'hostmesh_tls_hello_timeouts_total',
    'Raw connections routed without a server name because no TLS hello came in time',
  ],
  [
    'relayStrangers',
    'hostmesh_relay_strangers_total',
    'Relayed connections closed because their address is in no allowed network',
  ],
  [
    'relayProofs',
    'hostmesh_relay_proof_refusals_total',
    'Relayed connections closed for a missing, wrong, old or repeated proof',
  ],
  [
    'relayRefusedHosts',
    'hostmesh_relay_refused_hosts_total',
    'Relayed connections in mutual TLS closed because their certificate is of no host that may use this center',
  ],
  [
    'loopDials',
    'hostmesh_loop_dials_total',
    'Connections of TCP and private RPC not made because they would come back to a listener of ours',
  ],
  [
    'otherUserDials',
    'hostmesh_other_user_dials_total',
    'Connections to a local application not made because another user than the one that announced it listens there',
  ],
  ['requestLineLimits', 'hostmesh_request_line_limit_total', 'Requests refused for a too long request line'],
  ['headLimits', 'hostmesh_head_bytes_limit_total', 'Messages refused for a too large head'],
  ['fieldLimits', 'hostmesh_head_fields_limit_total', 'Messages refused for too many fields'],
  ['chunkLineLimits', 'hostmesh_chunk_line_limit_total', 'Bodies broken off at a too long chunk line'],
  [
    'chunkExtensionLimits',
    'hostmesh_chunk_extension_limit_total',
    'Bodies broken off at too many bytes of chunk extensions',
  ],
  ['trailerLimits', 'hostmesh_trailer_limit_total', 'Bodies broken off at too large or too many trailers'],
  ['interimLimits', 'hostmesh_interim_replies_limit_total', 'Replies refused for too many interim ones before them'],
  [
    'pipelineLimits',
    'hostmesh_pipelined_limit_total',
    'Connections that gave way to others after many requests in one go',
  ],
  ['drainLimits', 'hostmesh_drain_bytes_limit_total', 'Connections closed while too much of an unwanted rest came'],
  ['drainTimeouts', 'hostmesh_drain_timeouts_total', 'Connections closed while an unwanted rest did not end in time'],
  ['keepAliveTimeouts', 'hostmesh_keep_alive_timeouts_total', 'Connections closed because no request came in time'],
  ['requestTimeouts', 'hostmesh_request_timeouts_total', 'Requests that ran out of their time as a whole'],
  ['replyBodyTimeouts', 'hostmesh_reply_body_timeouts_total', 'Replies whose body stopped coming'],
  ['headTimeouts', 'hostmesh_request_head_timeouts_total', 'Requests whose head was not complete in time'],
  ['bodyTimeouts', 'hostmesh_request_body_timeouts_total', 'Requests whose body stopped coming'],
  ['stalledCallers', 'hostmesh_stalled_callers_total', 'Connections reset because the caller did not read'],
  [
    'abandonedRequests',
    'hostmesh_abandoned_requests_total',
    'Whole requests that ended because their caller closed its side before the answer',
  ],
  ['truncatedReplies', 'hostmesh_truncated_replies_total', 'Replies that broke after their head was passed on'],
  ['retries', 'hostmesh_retries_total', 'Attempts repeated by a retry policy'],
  ['retriesRefused', 'hostmesh_retries_refused_total', 'Retries refused by the budget of the destination'],
  [
    'unreadRepeats',
    'hostmesh_repeats_unread_total',
    'Requests of any method repeated because the endpoint had closed the connection before it knew of them',
  ],
  [
    'reusedConnectionRepeats',
    'hostmesh_repeats_reused_connection_total',
    'Idempotent requests repeated because a connection that had been used before broke without a byte of a reply',
  ],
  [
    'undelivered',
    'hostmesh_undelivered_total',
    'Answers of other agents that their application could not be reached, taken as failed connects',
  ],
  [
    'applicationWaits',
    'hostmesh_application_waits_total',
    'Tries put off because an application of this host takes no connection and the request cannot go elsewhere',
  ],
  ['hedges', 'hostmesh_hedges_total', 'Second requests sent beside a slow first one'],
  ['hedgesWon', 'hostmesh_hedges_won_total', 'Those that answered before the first one'],
  ['hedgesRefused', 'hostmesh_hedges_refused_total', 'Those that were not sent because the retry budget was used up'],
  ['grpcWebCalls', 'hostmesh_grpc_web_calls_total', 'Calls in gRPC-Web turned into gRPC for their application'],
  ['faultDelays', 'hostmesh_fault_delays_total', 'Requests delayed on purpose by a rule'],
  ['faultAborts', 'hostmesh_fault_aborts_total', 'Requests aborted on purpose by a rule'],
  ['preflights', 'hostmesh_cors_preflights_total', 'CORS preflights answered by a rule'],
  ['redirects', 'hostmesh_redirects_total', 'Requests redirected by a rule'],
  ['directResponses', 'hostmesh_direct_responses_total', 'Requests answered by a rule'],
  ['rateLimited', 'hostmesh_rate_limited_requests_total', 'Requests refused by a rate limit'],
  [
    'forgottenCallers',
    'hostmesh_rate_limit_forgotten_callers_total',
    'Callers that a rate limit forgot because it knew too many',
  ],
  ['fallbacks', 'hostmesh_fallback_requests_total', 'Requests sent to their x-mesh-fallback address'],
  ['tunnels', 'hostmesh_tunnels_total', 'Tunnels that callers asked for, by CONNECT or SOCKS5'],
  [
    'tunnelRefusals',
    'hostmesh_tunnel_refusals_total',
    'Tunnels that were refused, or asked for in words that nobody knows',
  ],
  ['routeOverrides', 'hostmesh_route_overrides_total', 'Requests that x-mesh-route sent elsewhere'],
  [
    'routeOverridesIgnored',
    'hostmesh_route_overrides_ignored_total',
    'Requests whose x-mesh-route no policy allows, served without it',
  ],
  [
    'routeOverridesRefused',
    'hostmesh_route_overrides_refused_total',
    'Requests refused for an x-mesh-route that cannot be read or leads where no policy allows',
  ],
  ['parkedRequests', 'hostmesh_parked_requests_total', 'Requests that waited for a service to be looked up'],
  ['parkTimeouts', 'hostmesh_park_timeouts_total', 'Look-ups of a service without an answer in time'],
  ['parkOverflows', 'hostmesh_park_overflows_total', 'Requests refused because too many wait for look-ups'],
  [
    'unknownNameRefusals',
    'hostmesh_unknown_name_refusals_total',
    'Requests refused because their caller asked for too many names that nobody knows',
  ],
  ['idlePairs', 'hostmesh_tcp_idle_timeouts_total', 'TCP connections ended by the idle time'],
  ['tcpConnectFailures', 'hostmesh_tcp_connect_failures_total', 'Failed dials of TCP connections'],
  [
    'http2ConnectionErrors',
    'hostmesh_http2_connection_errors_total',
    'HTTP/2 connections ended by us because their peer broke the protocol',
  ],
  ['http2ResetFloods', 'hostmesh_http2_reset_floods_total', 'HTTP/2 connections ended for too many reset streams'],
  [
    'http2FrameFloods',
    'hostmesh_http2_frame_floods_total',
    'HTTP/2 connections ended for too many frames that carry nothing',
  ],
  [
    'http2SmallFrames',
    'hostmesh_http2_small_frame_resets_total',
    'HTTP/2 streams of callers reset because their content came in too many small frames while nobody took it',
  ],
  [
    'http2HeadFloods',
    'hostmesh_http2_head_floods_total',
    'HTTP/2 connections ended for a header block over its bounds',
  ],
  [
    'http2RefusedStreams',
    'hostmesh_http2_refused_streams_total',
    'HTTP/2 streams refused at the bound on streams of a connection',
  ],
  [
    'rpcBrokenFrames',
    'hostmesh_rpc_broken_frames_total',
    'Connections in private RPC ended for a frame that breaks a rule of its protocol',
  ],
  [
    'rpcLimits',
    'hostmesh_rpc_limits_total',
    'Connections of callers in private RPC ended at a bound: length of a frame, memory, heartbeats, unread replies',
  ],
  [
    'rpcStrayFrames',
    'hostmesh_rpc_stray_frames_total',
    'Frames of private RPC that belong to no request, such as a reply that came after its time-out',
  ],
  [
    'undetectedProtocols',
    'hostmesh_undetected_protocols_total',
    'Connections closed because their first bytes are of no known protocol, or did not come',
  ],
  [
    'droppedLogLines',
    'hostmesh_access_log_dropped_total',
    'Access log lines dropped at the bound of the buffer, or not written',
  ],
  [
    'droppedLogRecords',
    'hostmesh_log_records_dropped_total',
    'Access log records for the collector dropped at the bound of the buffer',
  ],
  ['recordedSpans', 'hostmesh_spans_recorded_total', 'Spans recorded for the collector'],
  ['droppedSpans', 'hostmesh_spans_dropped_total', 'Spans dropped at the bound of the buffer'],
  ['tapSkips', 'hostmesh_tap_dropped_total', 'Requests that a tap did not look at because too many came'],
]
