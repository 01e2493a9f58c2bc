/** The two messages of incremental xDS. Source: envoy api, service/discovery/v3/discovery.proto. */
import { bytesIn, fieldsOf, message, textOf, texts } from '../../../contracts/envoy-api/protobuf.ts'

/** One bidirectional stream for all types. */
export const deltaPath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

export const typeUrls = {
  /** Endpoints of a service; the name is its key. */
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  /** All rules that decide about a service; the name is its key, or `mesh` for those that are about no single one. */
  rules: 'type.googleapis.com/hostmesh.v1.ServiceRules',
} as const

export const meshRules = 'mesh'

export interface DeltaRequest {
  /** Who asks; of the first request of a stream. */
  readonly node: string
  /** All of it, as it came. */
  readonly nodeBytes?: Buffer
  readonly typeUrl: string
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  /** What is known from before, by name. */
  readonly initialVersions: ReadonlyMap<string, string>
  /** Of the answer that this acknowledges; '' = none. */
  readonly nonce: string
  /** Why that answer is refused; undefined = it is not. */
  readonly error: string | undefined
}

export interface DeltaResource {
  readonly name: string
  readonly version: string
  readonly value: Buffer
}

export interface DeltaResponse {
  readonly typeUrl: string
  readonly nonce: string
  readonly resources: readonly DeltaResource[]
  readonly removed: readonly string[]
}

export function encodeRequest(request: Partial<DeltaRequest> & Pick<DeltaRequest, 'typeUrl'>): Buffer {
  const { node, typeUrl, subscribe, unsubscribe, initialVersions, nonce, error } = request
  return message(
    [1, node === undefined || node === '' ? undefined : message([1, node])],
    [2, typeUrl],
    [3, texts(subscribe ?? [])],
    [4, texts(unsubscribe ?? [])],
    [5, [...(initialVersions ?? [])].map(([name, version]) => message([1, name], [2, version]))],
    [6, nonce],
    [7, error === undefined ? undefined : message([1, 3], [2, error])],
  )
}

/** Throws RangeError. */
export function decodeRequest(bytes: Buffer): DeltaRequest {
  let node = ''
  let nodeBytes: Buffer | undefined
  let typeUrl = ''
  let nonce = ''
  let error: string | undefined
  const subscribe: string[] = []
  const unsubscribe: string[] = []
  const initialVersions = new Map<string, string>()
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) {
      node = textIn(value, 1)
      nodeBytes = bytesIn(value)
    } else if (field === 2) typeUrl = textOf(value)
    else if (field === 3) subscribe.push(textOf(value))
    else if (field === 4) unsubscribe.push(textOf(value))
    else if (field === 5) initialVersions.set(textIn(value, 1), textIn(value, 2))
    else if (field === 6) nonce = textOf(value)
    else if (field === 7) error = textIn(value, 2)
  }
  const known = nodeBytes === undefined ? {} : { nodeBytes }
  return { node, ...known, typeUrl, subscribe, unsubscribe, initialVersions, nonce, error }
}

export interface EncodedResource {
  /** As it stands in a response. */
  readonly bytes: Buffer
  /** The `google.protobuf.Any` in it, which stands alone in a response of the other form (state of the world). */
  readonly any: Buffer
}

/** Made once for everybody who gets it. */
export function encodeResource({ name, version, value }: DeltaResource, typeUrl: string): EncodedResource {
  const any = message([1, typeUrl], [2, value])
  const ofVersion = message([1, version])
  const ofAny = message([2, any])
  const bytes = Buffer.concat([ofVersion, ofAny, message([3, name])])
  const end = ofVersion.length + ofAny.length
  return { bytes, any: bytes.subarray(end - any.length, end) }
}

export function encodeResponse(
  typeUrl: string,
  nonce: string,
  resources: readonly Buffer[],
  removed: readonly string[],
): Buffer {
  return message([2, resources], [4, typeUrl], [5, nonce], [6, texts(removed)])
}

/** Throws RangeError. */
export function decodeResponse(bytes: Buffer): DeltaResponse {
  let typeUrl = ''
  let nonce = ''
  const resources: DeltaResource[] = []
  const removed: string[] = []
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 2) resources.push(decodeResource(bytesIn(value)))
    else if (field === 4) typeUrl = textOf(value)
    else if (field === 5) nonce = textOf(value)
    else if (field === 6) removed.push(textOf(value))
  }
  return { typeUrl, nonce, resources, removed }
}

function decodeResource(bytes: Buffer): DeltaResource {
  let resource = Buffer.alloc(0)
  for (const { field, value } of fieldsOf(bytes)) if (field === 2) resource = Buffer.from(bytesIn(value))
  let inner = Buffer.alloc(0)
  for (const { field, value } of fieldsOf(resource)) if (field === 2) inner = Buffer.from(bytesIn(value))
  return { name: textIn(bytes, 3), version: textIn(bytes, 1), value: inner }
}

function textIn(bytes: Buffer | number, wanted: number): string {
  let text = ''
  for (const { field, value } of fieldsOf(bytesIn(bytes))) if (field === wanted) text = textOf(value)
  return text
}
