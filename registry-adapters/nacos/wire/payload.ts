/**
 * The one message of Nacos's gRPC services, as bytes (alibaba/nacos api/src/main/proto/nacos_grpc_service.proto):
 *
 *     Payload  { Metadata metadata = 2; google.protobuf.Any body = 3; }
 *     Metadata { string type = 3; map<string,string> headers = 7; string clientIp = 8; }
 *
 * The body is JSON; `type` is the simple name of the Java class that it is read into.
 */
import { MeshError } from '../../../contracts/errors.ts'

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

const varint = 0
const fixed64 = 1
const lengthDelimited = 2
const fixed32 = 5

export function encodePayload(payload: {
  readonly type: string
  readonly clientIp?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: Uint8Array
}): Buffer {
  const metadata: Buffer[] = [stringField(3, payload.type)]
  for (const [name, value] of Object.entries(payload.headers ?? {}))
    metadata.push(bytesField(7, Buffer.concat([stringField(1, name), stringField(2, value)])))
  if (payload.clientIp !== undefined && payload.clientIp !== '') metadata.push(stringField(8, payload.clientIp))
  return Buffer.concat([bytesField(2, Buffer.concat(metadata)), bytesField(3, bytesField(2, payload.body))])
}

/** Reads one payload; unknown fields are skipped. Throws E_REGISTRY_PROTOCOL for anything that is not one. */
export function decodePayload(bytes: Buffer): Payload {
  let type = ''
  let clientIp = ''
  let body: Buffer = Buffer.alloc(0)
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  let headerCount = 0
  forEachField(bytes, (field, value) => {
    if (field === 2)
      forEachField(value, (inner, innerValue) => {
        if (inner === 3) type = innerValue.toString('utf8')
        else if (inner === 8) clientIp = innerValue.toString('utf8')
        else if (inner === 7) {
          if (++headerCount > maxPayloadHeaders) throw malformed(`more than ${maxPayloadHeaders} headers`)
          let name = ''
          let text = ''
          forEachField(innerValue, (key, keyValue) => {
            if (key === 1) name = keyValue.toString('utf8')
            else if (key === 2) text = keyValue.toString('utf8')
          })
          headers[name] = text
        }
      })
    else if (field === 3)
      forEachField(value, (inner, innerValue) => {
        if (inner === 2) body = innerValue
      })
  })
  if (type === '') throw malformed('no type in the metadata')
  return { type, clientIp, headers, body }
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

function forEachField(bytes: Buffer, visit: (field: number, value: Buffer) => void): void {
  let at = 0
  const readVarint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) throw malformed('it ends inside a number')
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw malformed('a number is too long')
  }
  const skip = (length: number): Buffer => {
    if (length > bytes.length - at) throw malformed(`a field of ${length} bytes, ${bytes.length - at} are left`)
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = readVarint()
    const field = Math.floor(tag / 8)
    switch (tag % 8) {
      case varint:
        readVarint()
        break
      case fixed64:
        skip(8)
        break
      case lengthDelimited:
        visit(field, skip(readVarint()))
        break
      case fixed32:
        skip(4)
        break
      default:
        throw malformed(`field ${field} has wire type ${tag % 8}`)
    }
  }
}

function malformed(what: string): MeshError {
  return new MeshError('E_REGISTRY_PROTOCOL', `nacos payload: ${what}`)
}

function stringField(field: number, text: string): Buffer {
  return bytesField(field, Buffer.from(text, 'utf8'))
}

function bytesField(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([varintBytes(field * 8 + lengthDelimited), varintBytes(value.length), value])
}

function varintBytes(value: number): Buffer {
  const out: number[] = []
  let rest = value
  while (rest >= 0x80) {
    out.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  out.push(rest)
  return Buffer.from(out)
}
