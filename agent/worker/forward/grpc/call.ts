import { grpcType } from '../../../../contracts/grpc-wire.ts'
import type { Answer, Fields, ReplyMessage, RequestMessage } from '../streams.ts'
import { grpcAnswer } from './answer.ts'
import type { CallState } from '../exchange-state.ts'
import { MessageCount } from './message-count.ts'
import { GrpcStatus, grpcStatusOf, readGrpcStatus } from './status.ts'
import { readGrpcTimeout, writeGrpcTimeout } from './timeout.ts'
import { codecBehind, readWebCall } from './web-call.ts'
import type { WebCall } from './web-call.ts'

/** `application/grpc`, alone or with a `+codec` or parameters behind it; not `application/grpc-web`. */
export function isGrpcType(contentType: string): boolean {
  return codecBehind(grpcType, contentType) !== undefined
}

/** What an exchange knows of a call in gRPC: nothing and at no cost for any other request. Reused with its exchange. */
export class GrpcCall {
  /** The request is one. */
  isOn = false
  /** It came in gRPC-Web. */
  web: WebCall | null = null
  /** Monotonic ms; 0 = none. */
  deadline = 0
  /** Of the reply; -1 = not said. */
  status = -1
  readonly sent: MessageCount = new MessageCount()
  readonly received: MessageCount = new MessageCount()
  /** Ms from the attempt's begin to the head of its reply, for the balancer, which hears of it at the end. */
  headMs = -1
  /** Row of its messages in `MessageMetrics`; -1 = not looked up. */
  row = -1
  /** Messages that are in the metrics. */
  countedSent = 0
  countedReceived = 0

  /** False: it is no call in gRPC. */
  begin(request: RequestMessage, now: number): boolean {
    const contentType = request.method === 'POST' ? request.header('content-type') : undefined
    if (contentType === undefined) return false
    if (!isGrpcType(contentType)) {
      this.web = readWebCall(request, contentType)
      if (this.web === null) return false
    }
    this.isOn = true
    const timeoutMs = readGrpcTimeout(request.header('grpc-timeout'))
    if (timeoutMs >= 0) this.deadline = now + timeoutMs
    return true
  }

  /** The route allows no more than this. */
  boundBy(deadline: number): void {
    if (this.deadline === 0 || deadline < this.deadline) this.deadline = deadline
  }

  /**
   * What an endpoint is told of the time that is left; null = the caller set none, nor did a rule. `perTryMs`: 0 =
   * none.
   */
  timeLeft(now: number, perTryMs: number): string | null {
    if (!this.isOn || this.deadline === 0) return null
    const left = this.deadline - now
    return writeGrpcTimeout(perTryMs > 0 ? Math.min(left, perTryMs) : left)
  }

  /** A reply without messages has its status in its head; one that is no reply of gRPC has only HTTP's. */
  readHead(reply: ReplyMessage): void {
    if (reply.status !== 200) this.status = readOr(reply.header('grpc-status'), grpcStatusOf(reply.status))
    else this.status = readGrpcStatus(reply.header('grpc-status'))
  }

  /** A reply that ends without a status is broken: UNKNOWN, as clients read it. */
  readTrailers(trailers: Fields | null): void {
    if (this.status >= 0) return
    this.status = GrpcStatus.unknown
    for (const [name, value] of trailers ?? []) if (name === 'grpc-status') this.status = readGrpcStatus(value)
  }

  /** What its caller is told instead of an answer of ours in HTTP. */
  answer(said: Answer): Answer {
    const answer = grpcAnswer(said)
    return this.web === null ? answer : this.web.answer(answer)
  }

  /** null = it is none. */
  stateAt(now: number): CallState | null {
    if (!this.isOn) return null
    const { countedReceived, countedSent, deadline, headMs, received, sent, status } = this
    const leftMs = deadline === 0 ? -1 : Math.max(0, deadline - now)
    return { leftMs, status, headMs, sent: sent.state, received: received.state, countedSent, countedReceived }
  }

  restore(state: CallState, now: number): void {
    this.isOn = true
    this.deadline = state.leftMs < 0 ? 0 : now + state.leftMs
    this.status = state.status
    this.headMs = state.headMs
    this.sent.restore(state.sent)
    this.received.restore(state.received)
    this.countedSent = state.countedSent
    this.countedReceived = state.countedReceived
  }

  reset(): void {
    if (!this.isOn) return
    this.isOn = false
    this.web = null
    this.deadline = 0
    this.status = -1
    this.sent.reset()
    this.received.reset()
    this.headMs = -1
    this.row = -1
    this.countedSent = 0
    this.countedReceived = 0
  }
}

function readOr(text: string | undefined, absent: number): number {
  return text === undefined ? absent : readGrpcStatus(text)
}

/**
 * `grpc-retry-pushback-ms` of a reply: ms to wait before another try; -1 = the endpoint wants none (so says anything
 * that is no number); undefined = it says nothing.
 */
export function readPushback(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  return /^\d{1,9}$/.test(text) ? Number(text) : -1
}
