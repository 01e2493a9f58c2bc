/**
 * The one message of Nacos's gRPC services, as bytes (alibaba/nacos api/src/main/proto/nacos_grpc_service.proto):
 *
 *     Payload  { Metadata metadata = 2; google.protobuf.Any body = 3; }
 *     Metadata { string type = 3; map<string,string> headers = 7; string clientIp = 8; }
 *
 * The body is JSON; `type` is the simple name of the Java class that it is read into.
 */
import { MeshError } from '../../../contracts/errors.ts'
import { protoBytes, protoFields } from '../../../contracts/proto-fields.ts'

export interface Payload {
  /** `ServerCheckRequest`, `NotifySubscriberRequest`, … */
  readonly type: string
  readonly clientIp: string
  /** Names as sent; no prototype. */
  readonly headers: Readonly<Record<string, string>>
  /** UTF-8 JSON. A view into the bytes that were decoded. */
  readonly body: Buffer
}

/** Path of each method, and whether it streams. Nothing else is served at a Nacos gRPC port that a client needs. */
export const grpcPaths = {
  request: '/Request/request',
  biStream: '/BiRequestStream/requestBiStream',
} as const

/** Nacos's own bound for a message, both directions (`nacos.remote.server.grpc.maxinbound.message.size`). */
export const maxPayloadBytes = 10 * 1024 * 1024

/** More headers than this in one payload are refused; real clients send fewer than ten. */
export const maxPayloadHeaders = 64

export function encodePayload(payload: {
  readonly type: string
  readonly clientIp?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: Uint8Array
}): Buffer {
  const metadata: Buffer[] = [protoBytes(3, payload.type)]
  for (const [name, value] of Object.entries(payload.headers ?? {}))
    metadata.push(protoBytes(7, Buffer.concat([protoBytes(1, name), protoBytes(2, value)])))
  if (payload.clientIp !== undefined && payload.clientIp !== '') metadata.push(protoBytes(8, payload.clientIp))
  return Buffer.concat([protoBytes(2, Buffer.concat(metadata)), protoBytes(3, protoBytes(2, payload.body))])
}

/** Reads one payload; unknown fields are skipped. Throws E_REGISTRY_PROTOCOL for anything that is not one. */
export function decodePayload(bytes: Buffer): Payload {
  try {
    return payloadOf(bytes)
  } catch (error) {
    throw error instanceof RangeError ? malformed(error.message) : error
  }
}

function payloadOf(bytes: Buffer): Payload {
  let type = ''
  let clientIp = ''
  let body: Buffer = Buffer.alloc(0)
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  let headerCount = 0
  for (const part of protoFields(bytes)) {
    for (const { bytes: value, number } of part.number === 2 ? protoFields(part.bytes) : []) {
      if (number === 3) type = value.toString('utf8')
      else if (number === 8) clientIp = value.toString('utf8')
      else if (number === 7) {
        if (++headerCount > maxPayloadHeaders) throw malformed(`more than ${maxPayloadHeaders} headers`)
        const [name, text] = headerOf(value)
        headers[name] = text
      }
    }
    for (const { bytes: value, number } of part.number === 3 ? protoFields(part.bytes) : [])
      if (number === 2) body = value
  }
  if (type === '') throw malformed('no type in the metadata')
  return { type, clientIp, headers, body }
}

function headerOf(entry: Buffer): [name: string, text: string] {
  let name = ''
  let text = ''
  for (const { bytes, number } of protoFields(entry)) {
    if (number === 1) name = bytes.toString('utf8')
    else if (number === 2) text = bytes.toString('utf8')
  }
  return [name, text]
}

/** Body of a payload as JSON. Throws E_REGISTRY_PROTOCOL when it is none or no object. */
export function decodeBody(payload: Payload): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(payload.body.toString('utf8'))
  } catch (cause) {
    throw new MeshError('E_REGISTRY_PROTOCOL', `body of ${payload.type}: ${payload.body.length} bytes are no JSON`, {
      cause,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MeshError('E_REGISTRY_PROTOCOL', `body of ${payload.type}: found no JSON object`)
  return value as Record<string, unknown>
}

function malformed(what: string): MeshError {
  return new MeshError('E_REGISTRY_PROTOCOL', `nacos payload: ${what}`)
}
