/** A ClusterLoadAssignment as endpoints. */
import { isIP } from 'node:net'
import { type Endpoint, endpointAt } from '../../../contracts/endpoint.ts'
import { KnownInstances, type ReadOne } from '../../known-instances.ts'
import { assignmentShape, lbEndpointShape, type AssignmentMessage, type LbEndpointMessage } from '../wire/cluster.ts'
import type { Faults } from '../wire/faults.ts'
import { readMessage } from '../wire/shape.ts'

export interface Assignment {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  /** For the next one of this name. */
  readonly known: KnownInstances
}

type Place = Endpoint['locality']

/** Values of `HealthStatus`. */
const unhealthy: ReadonlySet<number> = new Set([2, 4])
const draining = 3
/** Weights here end at 10,000. */
const maxWeight = 10_000
/** What Envoy balances by: the labels of an endpoint. */
const labels = 'envoy.lb'

/** `known`: of the last assignment of this name. Throws RangeError for what is no such message. */
export function readAssignment(
  bytes: Buffer,
  path: string,
  faults: Faults,
  known: KnownInstances = new KnownInstances(),
): Assignment {
  const message = readMessage(assignmentShape, bytes, path, faults)
  const found = known.list((read) => readGroups(message, path, faults, read))
  const highest = found.reduce((most, { weight }) => Math.max(most, weight), 1)
  const scale = Math.min(1, maxWeight / highest)
  const endpoints = scale === 1 ? found : found.map((one) => ({ ...one, weight: one.weight * scale }))
  return { name: message.cluster_name ?? '', endpoints, known }
}

function readGroups(message: AssignmentMessage, path: string, faults: Faults, read: ReadOne): Endpoint[] {
  const found: Endpoint[] = []
  message.endpoints?.forEach((group, at) => {
    const where = `${path === '' ? '' : `${path}.`}endpoints[${at}]`
    if ((group.priority ?? 0) > 0) faults.add(`${where}.priority`, `found ${group.priority}, allowed 0`)
    const { region = '', zone = '' } = group.locality ?? {}
    group.lb_endpoints?.forEach((one, index) => {
      const endpoint = read(one, `${region} ${zone}`, () =>
        readEndpoint(one, { region, zone }, `${where}.lb_endpoints[${index}]`, faults),
      )
      if (endpoint !== undefined) found.push(endpoint)
    })
  })
  return found
}

/** Undefined = there is a fault in it. */
function readEndpoint(bytes: Buffer, locality: Place, path: string, faults: Faults): Endpoint | undefined {
  const before = faults.count
  const one = readMessage(lbEndpointShape, bytes, path, faults)
  const { address, port } = addressOf(one, `${path}.endpoint.address.socket_address`, faults)
  if (faults.count > before) return undefined
  const metadata = Object.fromEntries(one.metadata?.filter_metadata?.get(labels) ?? [])
  return endpointAt(address, port, {
    weight: one.load_balancing_weight ?? 1,
    healthy: !unhealthy.has(one.health_status ?? 0),
    enabled: one.health_status !== draining,
    locality,
    version: metadata['version'] ?? '',
    metadata,
  })
}

function addressOf(one: LbEndpointMessage, path: string, faults: Faults): { address: string; port: number } {
  const { address = '', port_value: port = 0, protocol = 0 } = one.endpoint?.address?.socket_address ?? {}
  if (isIP(address) === 0) faults.add(`${path}.address`, `found "${address.slice(0, 100)}", allowed an IP address`)
  else if (port < 1 || port > 65_535) faults.add(`${path}.port_value`, `found ${port}, allowed 1 to 65535`)
  else if (protocol !== 0) faults.add(`${path}.protocol`, 'found UDP, allowed TCP')
  return { address, port }
}
