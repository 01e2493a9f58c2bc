/**
 * `envoy.service.auth.v3.Authorization/Check`: CheckRequest and CheckResponse (Envoy's external_auth.proto and
 * attribute_context.proto), written and read by hand.
 */
import { readHeaderValue } from '../../../../contracts/envoy-header-value.ts'
import { grpcFrame, grpcType } from '../../../../contracts/grpc-wire.ts'
import {
  protoBytes,
  protoFields,
  protoMessage,
  protoNumber,
  protoNumberIn,
} from '../../../../contracts/proto-fields.ts'
import { readableText } from '../../../../contracts/wire-text.ts'
import type { CallAnswer } from '../calls.ts'
import { readGrpcAnswer } from '../grpc-answer.ts'
import type { Asked } from './asked.ts'
import type { SaidField, Verdict } from './verdict.ts'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'
export const grpcFields = [['content-type', grpcType]] as const

/** The message in its frame. */
export function checkRequest(asked: Asked, isRaw: boolean): Buffer {
  const source = [address(asked.sourceAddress, 0), text(4, asked.principal)]
  const destination = [address('', asked.localPort)]
  const time = [protoNumber(1, Math.floor(asked.at / 1000)), protoNumber(2, Math.floor(asked.at % 1000) * 1_000_000)]
  const attributes = [
    protoMessage(1, source),
    protoMessage(2, destination),
    protoMessage(4, [protoMessage(1, time), protoMessage(2, httpRequest(asked, isRaw))]),
  ]
  return grpcFrame(protoMessage(1, attributes))
}

function httpRequest({ authority, content, fields, method, scheme, target }: Asked, isRaw: boolean): Buffer[] {
  const pseudo = [
    [':method', method],
    [':path', target],
    [':authority', authority],
    [':scheme', scheme],
  ] as const
  const size = Number(fields.get('content-length') ?? -1)
  return [
    text(1, readableText(fields.get('x-request-id') ?? '')),
    text(2, method),
    ...[...pseudo, ...fields].map(([name, value]) => protoMessage(3, [text(1, name), text(2, readableText(value))])),
    text(4, target),
    text(5, authority),
    text(6, scheme),
    ...(Number.isSafeInteger(size) && size >= 0 ? [protoNumber(9, size)] : []),
    text(10, 'HTTP/1.1'),
    ...(content === undefined
      ? []
      : [isRaw ? protoMessage(12, [content.bytes]) : text(11, content.bytes.toString('utf8'))]),
  ]
}

function address(host: string, port: number): Buffer {
  return protoMessage(1, [protoMessage(1, [text(2, host), protoNumber(3, port)])])
}

function text(number: number, value: string): Buffer {
  return protoBytes(number, value)
}

/** What the call came to. Never throws. */
export function checkVerdict(answer: CallAnswer): Verdict {
  const read = readGrpcAnswer(answer, readResponse)
  return 'kind' in read ? read : { kind: 'failed', why: read.why }
}

/** Both may be there or not: the code decides, as in Envoy. */
function readResponse(bytes: Buffer): Verdict {
  let code = 0
  let denied: Buffer | undefined
  let ok: Buffer | undefined
  for (const field of protoFields(bytes)) {
    if (field.number === 1) code = protoNumberIn(field.bytes, 1)
    if (field.number === 2) denied = field.bytes
    if (field.number === 3) ok = field.bytes
  }
  return code === 0 ? readOk(ok ?? Buffer.alloc(0)) : readDenied(denied ?? Buffer.alloc(0))
}

function readOk(bytes: Buffer): Verdict {
  const fields: SaidField[] = []
  const remove: string[] = []
  const reply: SaidField[] = []
  for (const field of protoFields(bytes)) {
    if (field.number === 2) fields.push(readOption(field.bytes))
    if (field.number === 5) remove.push(field.bytes.toString('utf8').toLowerCase())
    if (field.number === 6) reply.push(readOption(field.bytes, 'append'))
    if (field.number === 7 || field.number === 8)
      return { kind: 'failed', why: 'it changes the query, which is not done here' }
  }
  return { kind: 'allowed', fields, remove, reply }
}

function readDenied(bytes: Buffer): Verdict {
  let status = 403
  let body: Buffer = Buffer.alloc(0)
  const fields: SaidField[] = []
  for (const field of protoFields(bytes)) {
    if (field.number === 1) status = protoNumberIn(field.bytes, 1)
    if (field.number === 2) fields.push(readOption(field.bytes))
    if (field.number === 3) body = Buffer.from(field.bytes)
  }
  if (status < 200 || status > 599) return { kind: 'failed', why: `it refuses with status ${status}` }
  return { kind: 'denied', status, fields, body }
}

/** By number, from 1; 0 is not told apart from nothing said. */
const appendActions: readonly SaidField['how'][] = ['if-absent', 'set', 'if-present']

/**
 * HeaderValueOption. Without a word on it a field of the request stands in place of the caller's, who could else forge
 * it; one of the reply stands beside the application's, as in Envoy.
 */
function readOption(bytes: Buffer, unsaid: SaidField['how'] = 'set'): SaidField {
  let name = ''
  let value = ''
  let action = 0
  let appends: boolean | undefined
  for (const field of protoFields(bytes)) {
    if (field.number === 1) [name, value] = readHeaderValue(field.bytes, name, value)
    if (field.number === 2) appends = protoNumberIn(field.bytes, 1) === 1
    if (field.number === 3) action = field.value
  }
  if (appends !== undefined) return { name, value, how: appends ? 'append' : 'set' }
  return { name, value, how: action === 0 ? unsaid : (appendActions[action - 1] ?? 'set') }
}
