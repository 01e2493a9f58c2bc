/**
 * Make before break: clusters, then their endpoints, then listeners, then routes, and what nobody leads to any more
 * goes last. Source: envoyproxy/envoy docs/root/api-docs/xds_protocol.rst, "Eventual consistency considerations".
 */
import { typeUrlOf } from '../../contracts/envoy-api/encode.ts'

const [clusters, endpoints, listeners, routes] = [
  'envoy.config.cluster.v3.Cluster',
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'envoy.config.listener.v3.Listener',
  'envoy.config.route.v3.RouteConfiguration',
].map(typeUrlOf) as [string, string, string, string]

export const clusterType = clusters
export const endpointType = endpoints
/** A response of these holds all that there is: what is not in it is gone. */
export const wholeTypes: ReadonlySet<string> = new Set([clusters, listeners])

export interface Sending {
  /** A response is not acknowledged yet. */
  readonly isUnderWay: boolean
  /** There is something to say that has not been said. */
  readonly isBehind: boolean
}

const before: Readonly<Record<string, readonly string[]>> = {
  [clusters]: [],
  // an Envoy acknowledges clusters when they are warm, so their endpoints must not wait for that
  [endpoints]: [],
  [listeners]: [clusters, endpoints],
  [routes]: [clusters, endpoints, listeners],
}

/** Those of which the order is kept, then all others. */
export function sendOrder(types: Iterable<string>): readonly string[] {
  const all = [...types]
  const ordered = Object.keys(before)
  return [...ordered.filter((one) => all.includes(one)), ...all.filter((one) => before[one] === undefined)]
}

/**
 * Whether a response of this type may be sent now. `isWarming`: the client has not been told the endpoints of a cluster
 * that it just got.
 */
export function maySend(typeUrl: string, of: (typeUrl: string) => Sending | undefined, isWarming: boolean): boolean {
  const sending = of(typeUrl)
  if (sending === undefined || sending.isUnderWay) return false
  const earlier = before[typeUrl]
  if (earlier === undefined) return true
  if (isWarming && (typeUrl === listeners || typeUrl === routes)) return false
  return earlier.every((one) => of(one)?.isUnderWay !== true)
}

/** Whether nothing leads to former clusters any more, as far as the client has been told. */
export function isSettled(of: (typeUrl: string) => Sending | undefined): boolean {
  return [listeners, routes].every((one) => {
    const sending = of(one)
    return sending === undefined || (!sending.isUnderWay && !sending.isBehind)
  })
}
