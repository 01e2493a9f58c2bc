/** Requests and responses of Envoy's state-of-the-world discovery. Source: envoy api, service/discovery/v3. */
import { bytesIn, fieldsOf, message, textOf, texts } from '../../../contracts/envoy-api/protobuf.ts'

export const adsPath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources'

/** In the order in which a control plane is to send them: what is named is there before it is used. */
export const typeUrls = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
} as const

export type ResourceType = keyof typeof typeUrls

export interface DiscoveryRequest {
  /** Of the first request of a stream. */
  readonly node?: { readonly id: string; readonly cluster: string } | undefined
  readonly typeUrl: string
  /** What was taken last; '' = nothing. */
  readonly version: string
  readonly names: readonly string[]
  /** Of the response that this answers; '' = none. */
  readonly nonce: string
  /** Why that response is refused; undefined = it is not. */
  readonly error?: string | undefined
}

export interface DiscoveryResponse {
  readonly typeUrl: string
  readonly version: string
  readonly nonce: string
  readonly resources: readonly Buffer[]
}

const userAgent = 'hostmesh'
/** `INVALID_ARGUMENT` of gRPC. */
const invalidArgument = 3

export function encodeRequest({ node, typeUrl, version, names, nonce, error }: DiscoveryRequest): Buffer {
  return message(
    [1, version],
    [2, node === undefined ? undefined : message([1, node.id], [2, node.cluster], [6, userAgent])],
    [3, texts(names)],
    [4, typeUrl],
    [5, nonce],
    [6, error === undefined ? undefined : message([1, invalidArgument], [2, error])],
  )
}

/** Throws RangeError. */
export function decodeResponse(bytes: Buffer): DiscoveryResponse {
  let typeUrl = ''
  let version = ''
  let nonce = ''
  const resources: Buffer[] = []
  for (const { field, value } of fieldsOf(bytes))
    if (field === 1) version = textOf(value)
    else if (field === 2) resources.push(valueOf(bytesIn(value)))
    else if (field === 4) typeUrl = textOf(value)
    else if (field === 5) nonce = textOf(value)
  return { typeUrl, version, nonce, resources }
}

/** A resource as some control planes wrap it, once, or as it is; part of `any`. */
function valueOf(any: Buffer): Buffer {
  const { type, value } = anyOf(any)
  if (!type.endsWith('/envoy.service.discovery.v3.Resource')) return value
  for (const part of fieldsOf(value)) if (part.field === 2) return anyOf(bytesIn(part.value)).value
  return Buffer.alloc(0)
}

function anyOf(bytes: Buffer): { readonly type: string; readonly value: Buffer } {
  let type = ''
  let value: Buffer = Buffer.alloc(0)
  for (const part of fieldsOf(bytes))
    if (part.field === 1) type = textOf(part.value)
    else if (part.field === 2) value = bytesIn(part.value)
  return { type, value }
}
