import { probeRequest } from '../../../contracts/handoff.ts'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { GatewayServerSpec, HalfClosed, ListenerSpec, ServiceSpec } from '../../../contracts/snapshot.ts'

/**
 * What a connection needs to know about where it came in. A relayed connection gets a context of its own, as if it had
 * come in on the listener of its service.
 */
export interface ListenerContext {
  readonly name: string
  readonly port: number
  readonly kind: ListenerSpec['kind']
  readonly protocol: AppProtocol
  /** null: the request names the service. */
  readonly virtualHost: string | null
  /** Istio's `reporter`: `destination` for inbound listeners. */
  readonly reporter: 'source' | 'destination'
  /** Local application behind an inbound listener; '' elsewhere. */
  readonly app: string
  readonly halfClosed: HalfClosed
  /** Of HTTP at a gateway, whose callers are strangers; absent elsewhere. */
  readonly edge?: Edge
}

export interface Edge {
  /** As its callers speak it. */
  readonly scheme: 'http' | 'https'
  /** So many proxies stand before it. */
  readonly trustedProxies: number
}

/** `port` is the bound one, which differs from the spec's for port 0. */
export function listenerContext(spec: ListenerSpec, port: number): ListenerContext {
  const isService = spec.kind === 'service' || spec.kind === 'inbound'
  if (spec.kind === 'gateway') return gatewayContext(spec, port)
  return {
    name: spec.name,
    port,
    kind: spec.kind,
    protocol: 'protocol' in spec ? spec.protocol : 'http',
    virtualHost: isService ? spec.virtualHost : null,
    reporter: spec.kind === 'inbound' ? 'destination' : 'source',
    app: spec.kind === 'inbound' ? spec.app : '',
    halfClosed: spec.halfClosed ?? 'gone',
  }
}

function gatewayContext(spec: Extract<ListenerSpec, { kind: 'gateway' }>, port: number): ListenerContext {
  const { name, protocol, servers, trustedProxies } = spec
  const base = {
    name,
    port,
    kind: spec.kind,
    reporter: 'source',
    app: '',
    halfClosed: spec.halfClosed ?? 'gone',
  } as const
  const [first] = servers
  if (first?.protocol === 'tcp' && first.tls === undefined) return { ...base, protocol, virtualHost: first.virtualHost }
  return { ...base, protocol: 'http', virtualHost: name, edge: { scheme: 'http', trustedProxies } }
}

/** For a connection whose TLS is that of one server of a gateway's port. */
export function serverContext(gateway: ListenerContext, server: GatewayServerSpec): ListenerContext {
  const { edge, ...rest } = gateway
  if (server.protocol === 'tcp') return { ...rest, protocol: 'tcp', virtualHost: server.virtualHost }
  return edge === undefined ? gateway : { ...rest, edge: { ...edge, scheme: 'https' } }
}

/**
 * For a relayed connection whose TLV names a service: like that service's own listener. The implicit virtual host of a
 * service has its key for a name.
 */
export function relayedContext(relay: ListenerContext, service: ServiceSpec): ListenerContext {
  return { ...relay, protocol: service.protocol, virtualHost: service.key }
}

/** The listener on which the watchdog proves a new worker: every request is one to the host itself. */
export function probeContext(port: number): ListenerContext {
  return {
    name: 'probe',
    port,
    kind: 'shared-http',
    protocol: 'http',
    virtualHost: probeRequest.host,
    reporter: 'source',
    app: '',
    halfClosed: 'gone',
  }
}
