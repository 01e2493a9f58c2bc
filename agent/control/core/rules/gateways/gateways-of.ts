/** The Gateways of a host, with everything else that rules say about what comes in there. */
import { serviceKey } from '../../../../../contracts/endpoint.ts'
import type { ServiceKey } from '../../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../../contracts/protocols.ts'
import type { DestinationSpec } from '../../../../../contracts/route-spec.ts'
import { inboundAuthentication, verifiedFirst } from '../authentication.ts'
import type { KeySets } from '../authentication.ts'
import { inboundAuthorization, withAuthorization } from '../authorization.ts'
import { withConnectionLimits, withMeshPolicies } from '../mesh-policy-routes.ts'
import { withDestinations } from '../route-destinations.ts'
import type { HostScope } from '../rule-host.ts'
import type { RuleIndex } from '../rule-index.ts'
import type { ResourceOf } from '../rule-resource.ts'
import { names } from './bound-services.ts'
import type { GatewayHost } from './gateway-host.ts'
import { compileGateways, noGateways } from './gateway-ports.ts'
import type { CompiledGateways } from './gateway-ports.ts'

interface GatewayParts {
  readonly index: RuleIndex
  readonly scope: HostScope
  readonly keys: KeySets
  policiesFor(key: ServiceKey): ResourceOf<'MeshPolicy'>[]
  /** With the ports among which the caller's decides. */
  destination(one: DestinationSpec, protocol: AppProtocol): DestinationSpec
}

export function gatewaysOf(host: GatewayHost | undefined, parts: GatewayParts): CompiledGateways {
  const { index, keys, policiesFor, scope } = parts
  if (host === undefined || index.gateways.length === 0) return noGateways
  // policies stand before a gateway as before an application of its labels
  const key = serviceKey({ namespace: scope.namespace, group: scope.group, name: 'gateway' })
  return compileGateways(host, {
    gateways: index.gateways,
    virtualServices: index.gatewayServices,
    routesAt: (rule, gateway) =>
      index.routesWhere(rule, ({ gateways: list = [] }) => list.length === 0 || names(list, rule.namespace, gateway)),
    withPolicies: (route, of) =>
      withDestinations(withMeshPolicies(route, policiesFor(of), scope), (one) => parts.destination(one, 'http')),
    withTcpPolicies: (route, of) => ({
      ...withConnectionLimits(route, policiesFor(of)),
      destinations: route.destinations.map((one) => parts.destination(one, 'tcp')),
    }),
    guarded: (made, port) => {
      const place = { key, labels: host.labels, address: host.address, port }
      const authentication = inboundAuthentication(key, place, index, scope, keys)
      const authorization = inboundAuthorization(key, place, index, scope)
      return withAuthorization(verifiedFirst(made, authentication), authorization, scope)
    },
  })
}
