/** Words that travel on the wire between applications, agents and centers. */

export const headers = {
  /** Request: the service to call, as `orders`, `GROUP@@orders` or `namespace/GROUP@@orders`. */
  service: 'x-mesh-service',
  /** Request: `host:port` to use when the mesh knows no instance; only inside the allowed networks. */
  fallback: 'x-mesh-fallback',
  /** Request: calls of one service go to another one, or to a subset, for callers that a policy allows. */
  route: 'x-mesh-route',
  /** Request between agents: the calling application, set by the caller's agent. */
  source: 'x-mesh-source',
  /** Response: code of an answer that the mesh made, not the application. */
  error: 'x-mesh-error',
  /** Response: which path served the request. */
  tier: 'x-mesh-tier',
} as const

/**
 * `x-mesh-tier` of a center's own answer to a relay: the request was delivered to nobody, and the center cannot say
 * whether there is somebody, because no registry has answered yet. Only the mesh writes this field; a worker leaves it
 * out of what endpoints say.
 */
export const nothingDelivered = 'none'

/**
 * The byte that a center says first to a sender that asked for it (`proxyTlv.acknowledge`). Until then the sender sends
 * nothing, so a center that closes instead has delivered nothing.
 */
export const acknowledgement = 1

/**
 * One agent named this often in Via is a loop (R18). Outbound and inbound of one host are two, and a call may pass
 * through two applications of a host.
 */
export const maxViaPasses = 8

/** Which path served a request. */
export type Tier = 'agent' | 'center' | 'direct'

/**
 * Type bytes of our TLVs in PROXY protocol v2; 0xE0..0xEF is the range for custom use (HAProxy's proxy-protocol.txt,
 * section 2.2).
 */
export const proxyTlv = {
  /** Value: UTF-8 service key of the listener that the connection came in on; empty for the shared HTTP port. */
  service: 0xe0,
  /** Value: UTF-8 name of the calling host. */
  host: 0xe1,
  /** Value: UTF-8 name of the listener. */
  listener: 0xe2,
  /** Value: empty. The sender waits for one byte before it sends: `acknowledgement`. */
  acknowledge: 0xe3,
  /** Value: see `contracts/relay-proof.ts`. Always the last one. */
  proof: 0xe4,
} as const

/**
 * What a raw connection in mutual TLS says in ALPN, so that an inbound port can tell it from TLS that the application
 * speaks itself. The second and third are those of Istio's sidecars.
 */
export const rawTlsProtocols = ['hostmesh', 'istio', 'istio-peer-exchange'] as const
