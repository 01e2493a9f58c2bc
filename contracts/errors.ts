/**
 * The one error class of the mesh and the one list of its codes.
 *
 * A code is a promise: once released it keeps its meaning. `docs/errors.md` lists every code, and a test compares the
 * two. Text: lower case, no full stop, path or address first, found against allowed, what happens now, what to do.
 * Never a secret, never the whole config.
 */

/** Who is to blame, in the words of the data path. */
export type ErrorSource = 'downstream' | 'upstream' | 'registry' | 'center' | 'config' | 'internal'

/**
 * What a caller may do about it: `before-send` = nothing of the request has left us; `idempotent` = only if the request
 * may be repeated.
 */
export type RetryAdvice = 'never' | 'before-send' | 'idempotent'

interface CodeFacts {
  readonly source: ErrorSource
  readonly retry: RetryAdvice
  /** One sentence for `docs/errors.md` and for `hostmesh explain`. */
  readonly text: string
}

export const errorCodes = {
  // listen
  E_LISTEN_IN_USE: { source: 'config', retry: 'never', text: 'the address of a listener is taken by another process' },
  E_LISTEN_DENIED: { source: 'config', retry: 'never', text: 'the operating system refused to bind a listener' },
  // the request itself
  E_HTTP_BAD_REQUEST: {
    source: 'downstream',
    retry: 'never',
    text: 'the request breaks the HTTP/1.1 grammar or its framing rules',
  },
  E_HTTP_CONTENT_TOO_LARGE: {
    source: 'downstream',
    retry: 'never',
    text: 'the content of the request is longer than a filter allows',
  },
  E_HTTP_HEAD_TOO_LARGE: { source: 'downstream', retry: 'never', text: 'the request head is larger than the limit' },
  E_HTTP_URI_TOO_LONG: { source: 'downstream', retry: 'never', text: 'the request line is longer than the limit' },
  E_HTTP_VERSION: { source: 'downstream', retry: 'never', text: 'the HTTP version is not supported' },
  E_HTTP_METHOD: { source: 'downstream', retry: 'never', text: 'the method is not allowed here' },
  E_HTTP_EXPECTATION: { source: 'downstream', retry: 'never', text: 'the expectation is unknown' },
  E_DOWNSTREAM_TIMEOUT: { source: 'downstream', retry: 'never', text: 'the caller did not send its request in time' },
  E_ENDED_BY_OPERATOR: { source: 'internal', retry: 'idempotent', text: 'an operator ended the request' },
  E_DOWNSTREAM_RESET: { source: 'downstream', retry: 'never', text: 'the caller went away' },
  E_PROXY_PROTOCOL: { source: 'downstream', retry: 'never', text: 'the PROXY protocol header is malformed' },
  // route
  E_ROUTE_UNKNOWN_SERVICE: {
    source: 'config',
    retry: 'never',
    text: 'the named service is known to no registry and no rule',
  },
  E_ROUTE_NONE: { source: 'config', retry: 'never', text: 'no route of the service matches the request' },
  E_ROUTE_NO_NAME: { source: 'downstream', retry: 'never', text: 'the request names no service' },
  E_ROUTE_NAME_NOT_ALLOWED: {
    source: 'downstream',
    retry: 'never',
    text: 'the request names a service by a name that no service can have',
  },
  E_ROUTE_OVERRIDE_REFUSED: {
    source: 'downstream',
    retry: 'never',
    text: 'x-mesh-route cannot be read, or names a destination that no policy allows',
  },
  E_ROUTE_FALLBACK_REFUSED: {
    source: 'config',
    retry: 'never',
    text: 'x-mesh-fallback names an address outside the allowed networks',
  },
  E_ROUTE_LOOP: { source: 'config', retry: 'never', text: 'the request came back to the same agent too often' },
  // balance
  E_BALANCE_NO_ENDPOINT: {
    source: 'registry',
    retry: 'before-send',
    text: 'the service has no endpoint that may be used',
  },
  E_BALANCE_BREAKER_OPEN: {
    source: 'upstream',
    retry: 'before-send',
    text: 'the circuit breaker of the service is open',
  },
  E_BALANCE_OVERFLOW: {
    source: 'upstream',
    retry: 'before-send',
    text: 'a limit on connections, pending requests or requests of the service was reached',
  },
  E_BALANCE_CONCURRENCY: {
    source: 'upstream',
    retry: 'before-send',
    text: 'the service has as many requests as it answers without a queue',
  },
  E_BALANCE_ADMISSION: {
    source: 'upstream',
    retry: 'before-send',
    text: 'too much of what the service gets fails, so a part is refused',
  },
  E_BALANCE_CALLER_SHARE: {
    source: 'downstream',
    retry: 'before-send',
    text: 'the caller has its share of the requests of the service',
  },
  // connect
  E_CONNECT_REFUSED: { source: 'upstream', retry: 'before-send', text: 'the endpoint refused the connection' },
  E_CONNECT_TIMEOUT: { source: 'upstream', retry: 'before-send', text: 'no connection to the endpoint in time' },
  E_CONNECT_FAILED: { source: 'upstream', retry: 'before-send', text: 'the endpoint could not be reached' },
  // forward
  E_UPSTREAM_RESET: {
    source: 'upstream',
    retry: 'idempotent',
    text: 'the endpoint closed the connection before its reply',
  },
  E_UPSTREAM_TIMEOUT: { source: 'upstream', retry: 'idempotent', text: 'the endpoint did not reply in time' },
  E_UPSTREAM_PROTOCOL: {
    source: 'upstream',
    retry: 'never',
    text: 'the reply breaks the grammar or the framing of its protocol',
  },
  E_UPSTREAM_TRUNCATED: { source: 'upstream', retry: 'never', text: 'the reply ended before its announced end' },
  // policy
  E_TOKEN_REFUSED: { source: 'downstream', retry: 'never', text: 'the token of the caller is not good' },
  E_KEYS_UNREACHABLE: { source: 'config', retry: 'never', text: 'the keys of an issuer of tokens cannot be had' },
  E_AUTHORIZATION_UNAVAILABLE: {
    source: 'downstream',
    retry: 'idempotent',
    text: 'an external authorizer that has to judge the request gave no verdict',
  },
  E_AUTHORIZATION_DENIED: { source: 'downstream', retry: 'never', text: 'a policy does not allow the call' },
  E_FILTER_FAILED: {
    source: 'config',
    retry: 'never',
    text: 'a filter of the host failed or is off, and its requests may not go on without it',
  },
  E_RATE_LIMITED: { source: 'downstream', retry: 'never', text: 'a rate limit was reached' },
  E_RATE_LIMIT_UNAVAILABLE: {
    source: 'downstream',
    retry: 'idempotent',
    text: 'a rate-limit service gave no answer, and no share of its limit is known here',
  },
  E_FAULT_INJECTED: { source: 'config', retry: 'never', text: 'a rule injected this fault on purpose' },
  E_OVERLOAD: { source: 'internal', retry: 'before-send', text: 'the mesh itself is overloaded and sheds requests' },
  // tiers
  E_CENTER_NOT_READY: {
    source: 'center',
    retry: 'before-send',
    text: 'the center has not heard of the service from its registries yet, nor that there is none',
  },
  E_CENTER_OVERLOAD: { source: 'center', retry: 'before-send', text: 'the center sheds requests of this host' },
  E_CENTER_UNREACHABLE: { source: 'center', retry: 'before-send', text: 'no center answers' },
  // identity
  E_TLS_REQUIRED: {
    source: 'downstream',
    retry: 'never',
    text: 'the caller spoke without TLS to a port that takes mutual TLS alone',
  },
  E_CERTIFICATE_INVALID: {
    source: 'config',
    retry: 'never',
    text: 'a certificate, its key or its trust bundle cannot be used; what was read before stays in use',
  },
  // identities
  E_CA_REFUSED: { source: 'center', retry: 'never', text: 'the certificate authority refused a certificate' },
  E_CA_UNREACHABLE: { source: 'center', retry: 'idempotent', text: 'no certificate authority answers' },
  // registry
  E_REGISTRY_UNREACHABLE: { source: 'registry', retry: 'idempotent', text: 'no server of the registry answers' },
  E_REGISTRY_TIMEOUT: { source: 'registry', retry: 'idempotent', text: 'the registry did not answer in time' },
  E_REGISTRY_DENIED: { source: 'registry', retry: 'never', text: 'the registry refused the credentials' },
  E_REGISTRY_PROTOCOL: {
    source: 'registry',
    retry: 'idempotent',
    text: 'the registry answered something that makes no sense',
  },
  E_REGISTRY_STALE: { source: 'registry', retry: 'never', text: 'the data of the registry are old' },
  E_REGISTRY_HELD: {
    source: 'registry',
    retry: 'never',
    text: 'an empty or shrinking answer is held back until it is confirmed',
  },
  E_REGISTRY_CONFLICT: { source: 'registry', retry: 'never', text: 'somebody else changed the record meanwhile' },
  // the store of a center
  E_STORE_CONFLICT: {
    source: 'center',
    retry: 'never',
    text: 'somebody else changed the object meanwhile; read it again',
  },
  E_STORE_UNAVAILABLE: {
    source: 'center',
    retry: 'idempotent',
    text: 'the store of the center cannot be read or written',
  },
  // config and rules
  E_CONFIG_INVALID: {
    source: 'config',
    retry: 'never',
    text: 'the configuration has problems, listed with file, line and path',
  },
  E_CONFIG_UNREADABLE: { source: 'config', retry: 'never', text: 'a configuration file cannot be read' },
  E_RULE_REJECTED: { source: 'config', retry: 'never', text: 'a rule is not applied; its last good version stays' },
  E_PORT_RANGE_FULL: { source: 'config', retry: 'never', text: 'the port range has no free port left' },
  // processes
  E_SNAPSHOT_CORRUPT: { source: 'internal', retry: 'never', text: 'the snapshot on disk is damaged and was not used' },
  E_SNAPSHOT_WRITE: { source: 'internal', retry: 'idempotent', text: 'the snapshot could not be written' },
  E_RUN_DIRECTORY: { source: 'config', retry: 'never', text: 'the run directory cannot be used' },
  E_ALREADY_RUNNING: { source: 'config', retry: 'never', text: 'another agent of this host holds the run directory' },
  E_HANDOFF_REFUSED: { source: 'internal', retry: 'never', text: 'the other side refused the handoff' },
  E_HANDOFF_TIMEOUT: {
    source: 'internal',
    retry: 'never',
    text: 'the other side did not answer in time during a handoff',
  },
  E_HANDOFF_VERSION: { source: 'internal', retry: 'never', text: 'the two sides speak different handoff versions' },
  E_GENERATION_FAILED: {
    source: 'internal',
    retry: 'never',
    text: 'a new generation did not become healthy; the old one stays',
  },
  E_PART_MISSING: {
    source: 'internal',
    retry: 'never',
    text: 'a part of this installation cannot be loaded; what needs it is refused, install it anew',
  },
  E_WIRE: { source: 'internal', retry: 'never', text: 'a frame between our own processes is malformed or too large' },
  E_APPLICATION_REFUSED: {
    source: 'downstream',
    retry: 'never',
    text: 'a local application may not be registered as it asks for',
  },
  E_ADMIN_REQUEST: { source: 'downstream', retry: 'never', text: 'the admin request is not understood' },
  E_ADMIN_UNREACHABLE: { source: 'internal', retry: 'idempotent', text: 'no agent answers at the admin address' },
  E_INTERNAL: { source: 'internal', retry: 'never', text: 'a bug of ours; please report it' },
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof errorCodes

/** A failure with a stable code. `message` is for people; programs read `code`, `source` and `retry`. */
export class MeshError extends Error {
  readonly code: ErrorCode
  readonly source: ErrorSource
  readonly retry: RetryAdvice

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retry?: RetryAdvice }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MeshError'
    this.code = code
    this.source = errorCodes[code].source
    this.retry = options?.retry ?? errorCodes[code].retry
  }
}

/** One line for a log or a terminal: `CODE  message <- cause <- cause`. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const head = error instanceof MeshError ? `${error.code}  ${error.message}` : error.message
  return error.cause === undefined ? head : `${head} <- ${describeError(error.cause)}`
}
