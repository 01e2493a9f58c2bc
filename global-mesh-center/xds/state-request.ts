/** The two messages of xDS in its older form, state of the world. Source: service/discovery/v3/discovery.proto. */
import { decodeMessage } from '../../contracts/envoy-api/decode.ts'
import { bytesIn, fieldsOf, message, textOf } from '../../contracts/envoy-api/protobuf.ts'

/** One bidirectional stream for all types. */
export const statePath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources'

export interface StateRequest {
  /** As it came; of the first request of a stream. */
  readonly nodeBytes: Buffer | undefined
  readonly nodeId: string
  readonly typeUrl: string
  /** All that are wanted of the type. */
  readonly names: readonly string[]
  /** Of the answer that this acknowledges; '' = none. */
  readonly nonce: string
  /** Why that answer is refused; undefined = it is not. */
  readonly error: string | undefined
}

/** Throws RangeError. */
export function decodeStateRequest(bytes: Buffer): StateRequest {
  let nodeBytes: Buffer | undefined
  let typeUrl = ''
  let nonce = ''
  let error: string | undefined
  const names: string[] = []
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 2) nodeBytes = bytesIn(value)
    else if (field === 3) names.push(textOf(value))
    else if (field === 4) typeUrl = textOf(value)
    else if (field === 5) nonce = textOf(value)
    else if (field === 6) error = textIn(decodeMessage('google.rpc.Status', bytesIn(value))['message'])
  }
  const node = nodeBytes === undefined ? {} : decodeMessage('envoy.config.core.v3.Node', nodeBytes)
  return { nodeBytes, nodeId: textIn(node['id']), typeUrl, names, nonce, error }
}

/** `resources`: each a `google.protobuf.Any`. */
export function encodeStateResponse(
  typeUrl: string,
  version: string,
  nonce: string,
  resources: readonly Buffer[],
): Buffer {
  return message([1, version], [2, resources], [4, typeUrl], [5, nonce])
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
