/**
 * What the mesh itself has to say to a caller of gRPC: a status and a message, never an error of HTTP, which clients
 * would only guess from.
 */
import { grpcType } from '../../../../contracts/grpc-wire.ts'
import type { ErrorCode } from '../../../../contracts/errors.ts'
import { givenUp, Outcome } from '../streams.ts'
import type { Answer, Fields } from '../streams.ts'
import { GrpcStatus, grpcStatusOf, writeGrpcMessage } from './status.ts'

const noBody = Buffer.alloc(0)
/** Longest message, in characters. */
const maxMessage = 1024

/** The same answer as a reply without messages. What a rule asked for and is no error passes as it is. */
export function grpcAnswer(answer: Answer): Answer {
  const { body, code, details, fields, flag, status } = answer
  if (status < 400) return answer
  const message = body.toString('utf8').trim().slice(0, maxMessage)
  return {
    kind: 'answer',
    status: 200,
    code,
    flag,
    fields: [
      ['content-type', grpcType],
      ...statusFields(statusOf(code, flag, status), message),
      ...fields.filter(([name]) => name !== 'content-type' && name !== 'content-length'),
    ],
    body: noBody,
    ...(details === undefined ? {} : { details }),
  }
}

/** Status of gRPC in an answer of ours; -1 = it has none. */
export function statusOfAnswer({ fields }: Answer): number {
  for (const [name, value] of fields) if (name === 'grpc-status') return Number(value)
  return -1
}

/** The end of a reply that did not come to its end. */
export function brokenTrailers(outcome: Outcome, reason: string): Fields {
  const status =
    outcome === Outcome.timeout
      ? GrpcStatus.deadlineExceeded
      : outcome === Outcome.cancelled || reason === givenUp
        ? GrpcStatus.cancelled
        : GrpcStatus.unavailable
  return statusFields(status, `the reply broke: ${reason}`)
}

function statusFields(status: number, message: string): Fields {
  return [
    ['grpc-status', String(status)],
    ['grpc-message', writeGrpcMessage(message)],
  ]
}

/** Our own codes say more than the status of HTTP. */
function statusOf(code: ErrorCode | undefined, flag: string, httpStatus: number): number {
  if (code === 'E_UPSTREAM_TIMEOUT' || code === 'E_DOWNSTREAM_TIMEOUT') return GrpcStatus.deadlineExceeded
  // the endpoint gave the call up
  if (flag === 'UR') return GrpcStatus.cancelled
  // callers of gRPC repeat what is UNAVAILABLE
  if (code === 'E_RATE_LIMITED' && httpStatus === 429) return GrpcStatus.resourceExhausted
  // no service of that name: not the same as a method that a service does not have
  if (code === 'E_ROUTE_UNKNOWN_SERVICE') return GrpcStatus.unavailable
  return grpcStatusOf(httpStatus)
}
