/**
 * EDS: the endpoints of a destination that may be called. Those that are disabled, of weight 0, or behind an agent that
 * takes mutual TLS alone where the client has no identity are left out; unhealthy ones are told as such.
 */
import { hasLabels, choosesByPort, hasPort } from '../../../contracts/endpoint-labels.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { UpstreamTlsSpec } from '../../../contracts/policy-spec.ts'
import { isWithinReach, matchOf } from './mutual-tls.ts'
import type { Translation } from './translation.ts'

export const assignmentMessage = 'envoy.config.endpoint.v3.ClusterLoadAssignment'

/** Weights of the mesh have two digits behind the point. */
const weightScale = 100

export interface AssignmentView {
  readonly clusterName: string
  readonly endpoints: readonly Endpoint[]
  /** Of the subset; undefined = all. */
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly port: number | undefined
  readonly tls: UpstreamTlsSpec | undefined
  /** The client has an identity of the mesh. */
  readonly isMeshed: boolean
}

export function assignment({ clusterName, endpoints, labels, port, tls, isMeshed }: AssignmentView): Translation {
  const chosen = endpoints.filter(
    (one) =>
      one.enabled &&
      one.weight > 0 &&
      (labels === undefined || hasLabels(one, labels)) &&
      (port === undefined || !choosesByPort(endpoints, port) || hasPort(one, port)),
  )
  const callable = chosen.filter((one) => isWithinReach(one, tls, isMeshed))
  const byPlace = Map.groupBy(callable, ({ locality }) => `${locality.region}\0${locality.zone}`)
  const localities = [...byPlace.values()].map((group) => {
    const weights = group.map(({ weight }) => Math.max(1, Math.round(weight * weightScale)))
    const { region, zone } = group[0]!.locality
    return {
      locality: { region, zone },
      lb_endpoints: group.map((one, index) => ({
        ...lbEndpoint(one, weights[index]!),
        ...(isMeshed ? matchOf(one) : {}),
      })),
      // a client of gRPC chooses a locality before an endpoint
      load_balancing_weight: weights.reduce((sum, one) => sum + one, 0),
    }
  })
  const strict = chosen.length - callable.length
  return {
    message: { cluster_name: clusterName, endpoints: localities },
    leftOut: strict === 0 ? [] : [`${strict} endpoints that take mutual TLS alone`],
  }
}

function lbEndpoint(endpoint: Endpoint, weight: number): Plain {
  return {
    endpoint: { address: { socket_address: { address: endpoint.address, port_value: endpoint.port } } },
    health_status: endpoint.healthy ? 'HEALTHY' : 'UNHEALTHY',
    load_balancing_weight: weight,
  }
}
