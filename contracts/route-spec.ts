/**
 * Compiled routes, as control hands them to workers: plain data, no functions, safe as JSON.
 * `agent/control/core/rules` compiles Istio's resources into them; `agent/worker/route` turns them into matchers.
 * Durations are milliseconds, shares are 0..1.
 */
import type { ExternalAuthorizerSpec } from './external-authorizer-spec.ts'
import type { GlobalRateLimitSpec } from './global-rate-limit-spec.ts'
import type { AuthenticationSpec } from './authentication-spec.ts'
import type { AuthorizationSpec } from './authorization-spec.ts'
import type { ServiceKey } from './endpoint.ts'

/** Where a value came from, for `/explain` and for statuses. */
export interface RuleOrigin {
  /** `VirtualService`, `DestinationRule`, `ServiceEntry`, `MeshPolicy`, `default` or `agent.yaml`. */
  readonly kind: string
  /** `namespace/name` of the resource; empty for defaults. */
  readonly name: string
  /** Path inside the resource, `spec.http[0]`. */
  readonly path: string
  /** This host alone was told. */
  readonly isLocal?: true
}

export type StringMatchSpec =
  | { readonly exact: string }
  | { readonly prefix: string }
  /** RE2 syntax, whole-string match as in Istio; checked in control, linear time in the worker. */
  | { readonly regex: string }

/** Matches when the name is there at all (Istio: a header matcher with an empty value). */
export type PresenceMatchSpec = StringMatchSpec | { readonly present: true }

export interface ClaimMatchSpec {
  /** Names from the outermost claim to the innermost. */
  readonly path: readonly string[]
  /** Of a list any of its values. */
  readonly value: PresenceMatchSpec
  /** No value may be so. */
  readonly isAbsent?: true
}

/** All given fields must match. */
export interface HttpMatchSpec {
  readonly name?: string
  readonly uri?: StringMatchSpec
  readonly ignoreUriCase?: boolean
  readonly scheme?: StringMatchSpec
  readonly method?: StringMatchSpec
  readonly authority?: StringMatchSpec
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, PresenceMatchSpec>>
  readonly withoutHeaders?: Readonly<Record<string, PresenceMatchSpec>>
  readonly queryParams?: Readonly<Record<string, PresenceMatchSpec>>
  /** Claims of the caller's token, which the virtual host verifies before (`verifiesFirst`). */
  readonly claims?: readonly ClaimMatchSpec[]
  /** Labels of the calling application; `app` is its service name. */
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  /**
   * Port that the caller dialled: that of the listener, or the one in Host (80 without one) where the request names its
   * service by Host.
   */
  readonly port?: number
  /** The port that Host names is one of these, or it names none. Of services that a ServiceEntry declares. */
  readonly namedPorts?: readonly number[]
}

export interface HeaderEditsSpec {
  /** Names in lower case; validated by rule R32 in control. */
  readonly set: readonly (readonly [string, string])[]
  readonly add: readonly (readonly [string, string])[]
  readonly remove: readonly string[]
}

export interface DestinationSpec {
  readonly service: ServiceKey
  readonly subset?: string
  /** Only endpoints of this port, where a service has several. */
  readonly port?: number
  /**
   * Ports with endpoints or a policy of their own, where `port` is absent: the one that the caller named is used. A
   * caller that named none gets, if `hasOnlyPorts`, port 80 or else the first, otherwise any endpoint.
   */
  readonly ports?: readonly number[]
  /**
   * The service has no other port (a ServiceEntry lists them all): a caller that names another one finds no endpoint.
   */
  readonly hasOnlyPorts?: boolean
  /** New Host for this destination; wins over the rewrite of the route. */
  readonly authority?: string
  /** Positive integer; shares are weight / sum. */
  readonly weight: number
  readonly requestHeaders?: HeaderEditsSpec
  readonly responseHeaders?: HeaderEditsSpec
}

export interface RewriteSpec {
  /** Replaces the matched prefix or, for exact and regex matches, the whole path. */
  readonly uri?: string
  readonly uriRegex?: { readonly match: string; readonly rewrite: string }
  readonly authority?: string
}

export type HttpActionSpec =
  | { readonly kind: 'forward'; readonly destinations: readonly DestinationSpec[] }
  | {
      readonly kind: 'redirect'
      readonly status: number
      readonly uri?: string
      readonly authority?: string
      readonly scheme?: string
      readonly port?: number | 'from-request' | 'from-protocol-default'
    }
  | {
      readonly kind: 'direct'
      readonly status: number
      readonly body: string
      /** The body is base64 of bytes that are no text. */
      readonly bodyIsBase64?: boolean
      readonly contentType: string
    }

export type RetryCondition =
  | 'connect-failure'
  | 'refused-stream'
  | 'reset'
  | 'reset-before-request'
  | 'reset-before-reply'
  | 'gateway-error'
  | '5xx'
  | 'retriable-4xx'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable'
  | 'retriable-status-codes'

export interface RetrySpec {
  /** Retries after the first attempt, 0..10. */
  readonly attempts: number
  /** 0 = none of its own. */
  readonly perTryTimeoutMs: number
  readonly on: readonly RetryCondition[]
  readonly statuses: readonly number[]
  /** First back-off; grows twofold with full jitter up to ten times this. */
  readonly backoffMs: number
  /**
   * Whether a retry goes to an endpoint that was not tried yet while there is one. Absent: yes, but where a hash
   * chooses the retry stays with its hash.
   */
  readonly ignorePreviousHosts?: boolean
  /**
   * Also requests that are not idempotent are repeated once an endpoint may have read them: a rule says that they may
   * be carried out twice.
   */
  readonly all?: boolean
}

export interface FaultDelaySpec {
  readonly share: number
  readonly fixedMs: number
}

export interface FaultAbortSpec {
  readonly share: number
  readonly status: number
}

export interface CorsSpec {
  readonly allowOrigins: readonly StringMatchSpec[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeMs?: number
  readonly allowCredentials: boolean
  /**
   * false: a preflight from an origin that is not allowed is answered here, without permission (Istio:
   * unmatchedPreflights IGNORE).
   */
  readonly forwardUnmatchedPreflights?: boolean
}

export interface MirrorSpec {
  readonly destination: DestinationSpec
  readonly share: number
}

export interface RateLimitSpec {
  readonly name: string
  /** Bucket size and what is added per interval. */
  readonly maxTokens: number
  readonly tokensPerFill: number
  readonly fillIntervalMs: number
  /** One bucket for the route, or one per calling application (bounded, least recently used falls out). */
  readonly per: 'route' | 'source-app'
  /**
   * Inbound limits: the calling application is the one that the caller's agent names in `x-mesh-source`. Outbound that
   * header is anybody's to write.
   */
  readonly bySourceHeader?: boolean
  readonly status: number
  readonly origin: RuleOrigin
}

/**
 * One filter of a route. Control orders them (`agent/control/core/rules/filter-order.ts`), a worker runs them as they
 * stand; `kind` names the factory in `agent/worker/filters/table.ts`. A worker refuses a snapshot with a kind that it
 * does not know: a filter that is left out lets pass what it should not.
 */
export type FilterSpec =
  | ({ readonly kind: 'cors' } & CorsSpec)
  | ({ readonly kind: 'fault-delay' } & FaultDelaySpec)
  | ({ readonly kind: 'fault-abort' } & FaultAbortSpec)
  | ({ readonly kind: 'rate-limit' } & RateLimitSpec)
  /** Asked outside, of a service that counts for many hosts. */
  | ({ readonly kind: 'global-rate-limit'; readonly origin: RuleOrigin } & GlobalRateLimitSpec)
  /** By the rules of the virtual host about tokens. */
  | { readonly kind: 'jwt' }
  /** By the policies of the virtual host. */
  | { readonly kind: 'authorization' }
  /** What CUSTOM policies of the virtual host match is judged outside; without `authorizer` it is refused. */
  | { readonly kind: 'ext-authz'; readonly provider: string; readonly authorizer?: ExternalAuthorizerSpec }
  /**
   * A filter of the host's configuration (`MeshSpec.userFilters`); without one of that name the route refuses.
   * `isStrict`: what it has not seen does not go on, also where no worker is there to ask it.
   */
  | { readonly kind: 'user'; readonly name: string; readonly isStrict?: true; readonly origin: RuleOrigin }

/** Those that can judge a raw connection too: asked once, before an endpoint is dialled. */
export type ConnectionFilterSpec = Extract<FilterSpec, { readonly kind: 'rate-limit' | 'authorization' | 'ext-authz' }>

export interface HedgeSpec {
  /** Another request is sent to another endpoint after this time without a response head. */
  readonly afterMs: number
  readonly maxExtra: number
  /** Also requests that are not idempotent, once they came whole: the rule says that they may be carried out twice. */
  readonly all?: boolean
}

export interface HttpRouteSpec {
  readonly name: string
  readonly origin: RuleOrigin
  /** Any of them; none = always. */
  readonly matches: readonly HttpMatchSpec[]
  readonly action: HttpActionSpec
  readonly rewrite?: RewriteSpec
  /** 0 = none. */
  readonly timeoutMs: number
  readonly retry?: RetrySpec
  /** In the order in which they run, before the action; absent = none. */
  readonly filters?: readonly FilterSpec[]
  readonly mirrors?: readonly MirrorSpec[]
  readonly hedge?: HedgeSpec
  readonly requestHeaders?: HeaderEditsSpec
  readonly responseHeaders?: HeaderEditsSpec
}

export interface TcpMatchSpec {
  readonly port?: number
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly sourceSubnets?: readonly string[]
  readonly destinationSubnets?: readonly string[]
  /** Of the TLS hello, in lower case: exact, `*.suffix` (any depth), or `*` for any name. */
  readonly sniHosts?: readonly string[]
}

export interface TcpRouteSpec {
  readonly name: string
  readonly origin: RuleOrigin
  readonly matches: readonly TcpMatchSpec[]
  /** In the order in which they run; absent = none. */
  readonly filters?: readonly ConnectionFilterSpec[]
  readonly destinations: readonly DestinationSpec[]
}

/** Who may send calls of a virtual host elsewhere by `x-mesh-route` (MeshPolicy). */
export interface RouteOverridesSpec {
  /** As callers are named in limits; `*` = everyone. */
  readonly callers: readonly string[]
  /** The service itself and those to which its calls may be sent, under each name that a caller may write. */
  readonly services: Readonly<Record<string, ServiceKey>>
  readonly origin: RuleOrigin
}

/** Ordered routes for a set of names. The first matching route wins; none = 404 with E_ROUTE_NONE. */
export interface VirtualHostSpec {
  /** Unique in the snapshot; the service key for the implicit host of a service. */
  readonly name: string
  /** Lower-case names for the Host header: exact, `*.suffix`, or `*`. */
  readonly domains: readonly string[]
  /**
   * Names (and `*.suffix`) under a wildcard of `domains` for which a more specific rule decides: asked for, never taken
   * for this host's.
   */
  readonly except?: readonly string[]
  /** Absent = nobody: `x-mesh-route` is left out of requests, and changes nothing. */
  readonly overrides?: RouteOverridesSpec
  /** For the routes with a filter `jwt`, once for all of them. */
  readonly authentication?: AuthenticationSpec
  /** Tokens are verified before a route is chosen, instead of by a filter of each route. */
  readonly verifiesFirst?: true
  /** For the routes with a filter `authorization`, once for all of them. */
  readonly authorization?: AuthorizationSpec
  readonly http: readonly HttpRouteSpec[]
  readonly tcp: readonly TcpRouteSpec[]
}
