/** A ClusterLoadAssignment as endpoints. */
import { isIP } from 'node:net'
import { type Endpoint, endpointAt } from '../../../contracts/endpoint.ts'
import type { AssignmentMessage } from '../wire/cluster.ts'
import { assignmentShape } from '../wire/cluster.ts'
import type { Faults } from '../wire/faults.ts'
import { readMessage } from '../wire/shape.ts'

export interface Assignment {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
}

type Locality = NonNullable<AssignmentMessage['endpoints']>[number]
type LbEndpoint = NonNullable<Locality['lb_endpoints']>[number]

/** Values of `HealthStatus`. */
const unhealthy: ReadonlySet<number> = new Set([2, 4])
const draining = 3
/** Weights here end at 10,000. */
const maxWeight = 10_000
/** What Envoy balances by: the labels of an endpoint. */
const labels = 'envoy.lb'

/** Throws RangeError for what is no such message. */
export function readAssignment(bytes: Buffer, path: string, faults: Faults): Assignment {
  const message = readMessage(assignmentShape, bytes, path, faults)
  const found: Endpoint[] = []
  message.endpoints?.forEach((group, at) => {
    const where = `${path === '' ? '' : `${path}.`}endpoints[${at}]`
    if ((group.priority ?? 0) > 0) faults.add(`${where}.priority`, `found ${group.priority}, allowed 0`)
    group.lb_endpoints?.forEach((one, index) => {
      const endpoint = readEndpoint(one, group, `${where}.lb_endpoints[${index}]`, faults)
      if (endpoint !== undefined) found.push(endpoint)
    })
  })
  const highest = found.reduce((most, { weight }) => Math.max(most, weight), 1)
  const scale = Math.min(1, maxWeight / highest)
  const endpoints = scale === 1 ? found : found.map((one) => ({ ...one, weight: one.weight * scale }))
  return { name: message.cluster_name ?? '', endpoints }
}

function readEndpoint(one: LbEndpoint, group: Locality, path: string, faults: Faults): Endpoint | undefined {
  const socket = one.endpoint?.address?.socket_address
  const { address = '', port_value: port = 0, protocol = 0 } = socket ?? {}
  const where = `${path}.endpoint.address.socket_address`
  if (isIP(address) === 0) faults.add(`${where}.address`, `found "${address.slice(0, 100)}", allowed an IP address`)
  else if (port < 1 || port > 65_535) faults.add(`${where}.port_value`, `found ${port}, allowed 1 to 65535`)
  else if (protocol !== 0) faults.add(`${where}.protocol`, 'found UDP, allowed TCP')
  else {
    const metadata = Object.fromEntries(one.metadata?.filter_metadata?.get(labels) ?? [])
    const { region = '', zone = '' } = group.locality ?? {}
    return endpointAt(address, port, {
      weight: one.load_balancing_weight ?? 1,
      healthy: !unhealthy.has(one.health_status ?? 0),
      enabled: one.health_status !== draining,
      locality: { region, zone },
      version: metadata['version'] ?? '',
      metadata,
    })
  }
  return undefined
}
