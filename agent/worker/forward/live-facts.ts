import type { LiveStream } from '../listen/movable.ts'
import type { GrpcCall } from './grpc/call.ts'
import type { RequestMessage } from './streams.ts'
import type { Tries } from './tries.ts'

interface Exchanged {
  readonly request: RequestMessage
  readonly call: GrpcCall
  readonly tries: Pick<Tries, 'endpoint' | 'running'>
  readonly service: string | undefined
  readonly startedAt: number
  readonly requestBytes: number
  readonly replyBytes: number
}

/** What an operator sees of a request in flight. Of an exchange whose head is whole. */
export function liveFacts(exchange: Exchanged): NonNullable<LiveStream['facts']> {
  const { call, replyBytes, request, requestBytes, service, startedAt, tries } = exchange
  const { newest, winner } = tries.running
  const isSent = newest !== null && newest.isStreaming
  const messages = call.isOn ? { messagesUp: call.sent.count, messagesDown: call.received.count } : {}
  return {
    protocol: call.isOn ? 'grpc' : request.protocol,
    method: request.method,
    path: request.path,
    service: service ?? '-',
    upstream: tries.endpoint?.id ?? '-',
    state: winner !== null ? 'answers' : isSent ? 'sent' : 'waits',
    startedAt,
    bytesUp: requestBytes,
    bytesDown: replyBytes,
    ...messages,
  }
}
