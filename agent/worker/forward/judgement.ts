import { Outcome } from '../balance/types.ts'
import type { Attempt } from './attempt.ts'
import { Delivery } from './delivery.ts'
import type { GrpcCall } from './grpc/call.ts'
import { httpStatusOf } from './grpc/status.ts'
import type { Fields, ReplyMessage } from './streams.ts'

interface JudgementDeps {
  readonly clock: { readonly now: number }
  readonly tallies: { undelivered: number }
}

/**
 * Tells the balancer what the head of a reply says of its endpoint. Of a call in gRPC that is told by its status, which
 * mostly comes at the end: `judgeEnd`.
 */
export function judgeHead(
  { clock, tallies }: JudgementDeps,
  attempt: Attempt,
  reply: ReplyMessage,
  call: GrpcCall,
): Delivery {
  const { status } = reply
  const headMs = clock.now - attempt.startedAt
  if (call.isOn) {
    call.readHead(reply)
    call.headMs = headMs
  }
  const isAnswerOfGrpc = call.isOn && call.status > 0
  const isAnswerOfAgent = status === 503 || status === 502 || isAnswerOfGrpc
  const delivery = isAnswerOfAgent ? attempt.readDelivery(reply) : Delivery.delivered
  if (delivery === Delivery.unreachable) {
    tallies.undelivered++
    attempt.judge(Outcome.connectFailure, 0, -1)
  } else if (!call.isOn) {
    judgeStatus(attempt, status, headMs)
  } else if (call.status >= 0) {
    judgeStatus(attempt, httpStatusOf(call.status), headMs)
  }
  return delivery
}

/** Of a call in gRPC whose reply is whole. */
export function judgeEnd(attempt: Attempt, trailers: Fields | null, call: GrpcCall): void {
  call.readTrailers(trailers)
  judgeStatus(attempt, httpStatusOf(call.status), call.headMs)
}

function judgeStatus(attempt: Attempt, status: number, latencyMs: number): void {
  attempt.judge(status >= 500 ? Outcome.serverError : Outcome.ok, status, latencyMs)
}
