/** EndpointSlices of one service, merged into endpoints. Source: Kubernetes API, discovery.k8s.io/v1. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { endpointAt, endpointId, metadataBounds, metadataKeys } from '../../contracts/endpoint.ts'
import type { Endpoint } from '../../contracts/endpoint.ts'

export const serviceLabel = 'kubernetes.io/service-name'
/** Our own instances carry what the mesh knows of them beside what Kubernetes has words for. */
export const metadataAnnotation = 'hostmesh.io/metadata'

const sliceShape = z.object({
  metadata: z.object({
    name: z.string().max(253),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  addressType: z.string().default('IPv4'),
  ports: z
    .array(
      z.object({
        name: z.string().nullish(),
        port: z.int().min(1).max(65_535).nullish(),
        protocol: z.string().nullish(),
      }),
    )
    .nullish(),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string().max(64)).max(100),
        conditions: z
          .object({
            ready: z.boolean().nullish(),
            serving: z.boolean().nullish(),
            terminating: z.boolean().nullish(),
          })
          .nullish(),
        nodeName: z.string().nullish(),
        zone: z.string().nullish(),
        targetRef: z.object({ name: z.string().nullish() }).nullish(),
      }),
    )
    .max(1000)
    .nullish(),
})

export interface EndpointSlice extends Omit<z.output<typeof sliceShape>, 'metadata'> {
  readonly name: string
  /** Of our own instances: what the mesh knows of them. */
  readonly known: Readonly<Record<string, string>>
}

/** undefined = it makes no sense. Never throws. */
export function readSlice(json: unknown): EndpointSlice | undefined {
  const { data } = sliceShape.safeParse(json)
  if (data === undefined) return undefined
  const { metadata, ...slice } = data
  return { ...slice, name: metadata.name, known: ownMetadata(metadata.annotations?.[metadataAnnotation]) }
}

/**
 * All slices of a service as one list: an address that stands in two slices (they are rewritten one by one) counts
 * once. `portName` undefined = the first port of each slice. Ready means that traffic is wanted; what is shutting down
 * and still serves is the last choice, as unhealthy.
 */
export function endpointsOf(slices: Iterable<EndpointSlice>, portName: string | undefined): Endpoint[] {
  const byId = new Map<string, Endpoint>()
  for (const slice of slices) {
    // names instead of addresses are for DNS
    if (slice.addressType === 'FQDN') continue
    const ports = (slice.ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
    const chosen = portName === undefined ? ports[0] : ports.find(({ name }) => (name ?? '') === portName)
    const port = chosen?.port
    if (port === null || port === undefined) continue
    for (const one of slice.endpoints ?? []) {
      // nil is "not known", which the API wants to be read as ready
      const isReady = one.conditions?.ready ?? true
      const isServing = one.conditions?.serving ?? isReady
      if (!isReady && !isServing) continue
      const metadata = { ...slice.known }
      if (one.nodeName) metadata['node'] = one.nodeName
      if (one.targetRef?.name) metadata['pod'] = one.targetRef.name
      for (const address of one.addresses) {
        if (isIP(address) === 0) continue
        const endpoint = endpointAt(address, port, {
          healthy: isReady,
          version: metadata[metadataKeys.version] ?? '',
          locality: {
            region: metadata[metadataKeys.region] ?? '',
            zone: one.zone ?? metadata[metadataKeys.zone] ?? '',
          },
          weight: weightOf(metadata),
          metadata,
        })
        const id = endpointId(endpoint)
        if (byId.get(id)?.healthy !== true) byId.set(id, endpoint)
      }
    }
  }
  return [...byId.values()]
}

const metadataShape = z
  .record(z.string(), z.string())
  .refine((value) => Object.keys(value).length <= metadataBounds.entries)

function ownMetadata(text: string | undefined): Record<string, string> {
  if (text === undefined || text.length > 16_384) return {}
  try {
    return metadataShape.safeParse(JSON.parse(text)).data ?? {}
  } catch {
    return {}
  }
}

function weightOf(metadata: Record<string, string>): number {
  const weight = Number(metadata['hostmesh.weight'] ?? 1)
  delete metadata['hostmesh.weight']
  return weight >= 0 && weight <= 10_000 ? weight : 1
}
