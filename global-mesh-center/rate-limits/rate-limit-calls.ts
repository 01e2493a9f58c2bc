/** `ShouldRateLimit` at the port of discovery: who may take discovery may ask. */
import { Metadata, status, type sendUnaryData, type ServerUnaryCall, type ServiceDefinition } from '@grpc/grpc-js'
import {
  decodeQuestion,
  encodeAnswer,
  rateLimitHostField,
  rateLimitHostsField,
  shouldRateLimitPath,
} from '../../contracts/rate-limit-wire.ts'
import type { RateLimiter } from './rate-limiter.ts'

type Call = ServerUnaryCall<Buffer, Buffer>
type Done = sendUnaryData<Buffer>

/** Who calls: the host that it proved to be, if it did; or why it is refused. */
export type CallerOf = (call: Call) => { readonly host: string | undefined } | { readonly refusal: string }

const raw = (bytes: Buffer): Buffer => bytes

export const rateLimitDefinition: ServiceDefinition = {
  shouldRateLimit: {
    path: shouldRateLimitPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
}

export function rateLimitCalls(limiter: RateLimiter, callerOf: CallerOf) {
  return {
    shouldRateLimit(call: Call, done: Done): void {
      const caller = callerOf(call)
      if ('refusal' in caller) return done({ code: status.UNAUTHENTICATED, details: caller.refusal })
      try {
        const said = call.metadata.get(rateLimitHostField)[0]?.toString().slice(0, 256)
        const { hosts, ...answer } = limiter.judge(
          decodeQuestion(call.request),
          caller.host ?? said ?? peerAddress(call),
        )
        if (hosts !== undefined) {
          const head = new Metadata()
          head.set(rateLimitHostsField, String(hosts))
          call.sendMetadata(head)
        }
        done(null, encodeAnswer(answer))
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        done({ code: status.INVALID_ARGUMENT, details: error.message })
      }
    },
  }
}

/** Without its port. */
function peerAddress(call: Call): string {
  const peer = call.getPeer()
  return peer.slice(0, peer.lastIndexOf(':'))
}
