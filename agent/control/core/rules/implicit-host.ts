/** The routes of a service for which no VirtualService decides: everything goes to the service itself. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { HttpRouteSpec, RuleOrigin, TcpRouteSpec } from '../../../../contracts/route-spec.ts'
import { defaultRetry } from './retry-words.ts'
import { portsSpeaking } from './service-entry.ts'
import type { DeclaredService } from './types.ts'

const noRule: RuleOrigin = { kind: 'default', name: '', path: '' }

/** Of a service that a ServiceEntry declares, a port that the entry does not list is no match. */
export function implicitHttpRoute(service: ServiceKey, declared?: DeclaredService): HttpRouteSpec {
  const namedPorts = declared === undefined ? [] : portsSpeaking(declared.ports, 'http')
  return {
    name: 'default',
    origin: declared?.origin ?? noRule,
    matches: namedPorts.length === 0 ? [] : [{ namedPorts }],
    action: { kind: 'forward', destinations: [{ service, weight: 100 }] },
    timeoutMs: 0,
    retry: defaultRetry,
  }
}

export function implicitTcpRoute(service: ServiceKey): TcpRouteSpec {
  return { name: 'default-tcp', origin: noRule, matches: [], destinations: [{ service, weight: 100 }] }
}

/** Towards a local application: the caller's agent has retried already, so this side does not. */
export function inboundHttpRoute(service: ServiceKey): HttpRouteSpec {
  const { retry: _, ...route } = implicitHttpRoute(service)
  return { ...route, name: 'inbound' }
}
