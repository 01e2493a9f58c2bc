/** Lines of the access log in an operator's own form or Envoy's default, put together as bytes. */
import { parseLogFormat } from '../../../contracts/access-log-format.ts'
import type { LogPart, PlainOperator } from '../../../contracts/access-log-format.ts'
import { formatTime } from '../../../contracts/time-format.ts'
import type { LineBuffer } from './line-buffer.ts'
import type { LoggedRequest } from './logged-request.ts'

/** A byte that must not stand there as it is takes up four. */
const growth = 4

const absent = '-'

export class TextLine {
  /** Of replies, lower case, each once. */
  readonly replyFields: readonly string[]
  private readonly parts: readonly LogPart[]
  private readonly host: string
  /** Of the line in hand, one for each part. */
  private readonly values: string[] = []

  /** A format that control would refuse writes itself. */
  constructor(format: string, host: string) {
    const parsed = parseLogFormat(format.endsWith('\n') ? format : `${format}\n`)
    this.parts = typeof parsed === 'string' ? [{ kind: 'text', text: `${parsed}\n` }] : parsed
    this.host = host
    this.replyFields = [...new Set(this.parts.flatMap((part) => (part.kind === 'reply-field' ? part.names : [])))]
  }

  /** Reads the values and answers how much room the line needs at most. */
  prepare(request: LoggedRequest, startedAt: string): number {
    const { parts, values } = this
    let room = 0
    for (let index = 0; index < parts.length; index++) {
      const value = this.valueOf(parts[index]!, request, startedAt)
      values[index] = value
      room += value.length * growth
    }
    return room
  }

  /** After `prepare`, with that room. */
  write(lines: LineBuffer): void {
    const { parts, values } = this
    for (let index = 0; index < parts.length; index++) {
      if (parts[index]!.kind === 'text') lines.put(values[index]!)
      else lines.putClean(values[index]!)
    }
  }

  private valueOf(part: LogPart, request: LoggedRequest, startedAt: string): string {
    switch (part.kind) {
      case 'text':
        return part.text
      case 'operator':
        return this.operator(part.name, request, startedAt)
      case 'start-time':
        return formatTime(part.format, Date.parse(startedAt))
      case 'absent':
        return absent
      case 'request-field':
        return shortened(firstOf(part.names, request), part.maxLength)
      case 'reply-field':
        return shortened(firstOfReply(part.names, request), part.maxLength)
      default:
        return milliseconds(request.headMs)
    }
  }

  private operator(name: PlainOperator, r: LoggedRequest, startedAt: string): string {
    switch (name) {
      case 'START_TIME':
        return startedAt
      case 'PROTOCOL':
        return r.protocol
      case 'STREAM_ID':
        return r.streamId === 0 ? '-' : String(r.streamId)
      case 'RESPONSE_CODE':
        return String(r.status)
      case 'RESPONSE_CODE_DETAILS':
        return r.details !== '' ? r.details : r.code === undefined ? 'via_upstream' : r.code.toLowerCase()
      case 'RESPONSE_FLAGS':
        return r.flag
      case 'GRPC_STATUS':
      case 'GRPC_STATUS(CAMEL_STRING)':
      case 'GRPC_STATUS(SNAKE_STRING)':
      case 'GRPC_STATUS(NUMBER)':
      case 'GRPC_STATUS_NUMBER':
        return grpcStatus(r.grpcStatus, name)
      case 'BYTES_RECEIVED':
        return String(r.requestBytes)
      case 'BYTES_SENT':
        return String(r.replyBytes)
      case 'DURATION':
        return milliseconds(r.durationMs)
      case 'RESPONSE_DURATION':
        return milliseconds(r.headMs)
      case 'UPSTREAM_HOST':
      case 'UPSTREAM_REMOTE_ADDRESS':
        return r.upstreamId
      case 'UPSTREAM_CLUSTER':
      case 'UPSTREAM_CLUSTER_RAW':
        return r.upstreamCluster
      case 'UPSTREAM_REQUEST_ATTEMPT_COUNT':
        return String(r.attempts)
      case 'ROUTE_NAME':
        return r.routeName
      case 'DOWNSTREAM_REMOTE_ADDRESS':
      case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
        return r.sourceAddress
      case 'TRACE_ID':
        return r.traceId === '' ? absent : r.traceId
      case 'HOSTNAME':
        return this.host
      case 'MESH_ERROR':
        return r.code ?? absent
      case 'MESH_AUTHORIZATION':
        return r.notes === '' ? absent : r.notes
      case 'MESH_TIER':
        return r.tier
      case 'MESH_LISTENER':
        return r.listenerName
      case 'MESH_SOURCE_APP':
        return r.sourceApp
    }
  }
}

function shortened(value: string, maxLength: number): string {
  return value.length > maxLength ? value.slice(0, maxLength) : value
}

function firstOfReply(names: readonly string[], request: LoggedRequest): string {
  for (const name of names) {
    const value = name === 'x-envoy-upstream-service-time' ? milliseconds(request.headMs) : request.replyField(name)
    if (value !== undefined && value !== absent) return value
  }
  return absent
}

function firstOf(names: readonly string[], request: LoggedRequest): string {
  for (const name of names) {
    const value =
      name === ':method'
        ? request.method
        : name === ':path'
          ? request.path
          : name === ':authority'
            ? request.authority
            : request.header(name)
    if (value !== undefined) return value
  }
  return absent
}

const grpcNames = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

/** As Envoy writes it: in camel case where the format does not say. A status without a name is its number. */
function grpcStatus(status: number, operator: PlainOperator): string {
  if (status < 0) return absent
  const name = grpcNames[status]
  if (name === undefined || operator.includes('NUMBER')) return String(status)
  if (operator === 'GRPC_STATUS(SNAKE_STRING)' || status === 0) return name
  return name.replace(/([A-Z])([A-Z]*)_?/g, (_, first: string, rest: string) => first + rest.toLowerCase())
}

/** -1 = it never came to that. */
function milliseconds(ms: number): string {
  return ms < 0 ? absent : String(Math.round(ms))
}
