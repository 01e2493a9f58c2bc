import { onlyGrpcMessage } from '../../../contracts/grpc-wire.ts'
import type { CallAnswer } from './calls.ts'

/** Why an answer is none, for people. */
export interface NoAnswer {
  readonly why: string
}

/** What `read` makes of the one message of a call in gRPC that went well; it may throw. Never throws itself. */
export function readGrpcAnswer<T extends object>(answer: CallAnswer, read: (message: Buffer) => T): T | NoAnswer {
  const { content, fields, status, trailers } = answer
  if (status !== 200) return { why: `status ${status}` }
  const valueOf = (name: string): string | undefined =>
    trailers.find(([one]) => one === name)?.[1] ?? fields.find(([one]) => one === name)?.[1]
  const code = valueOf('grpc-status')
  if (code !== '0')
    return { why: `grpc-status ${String(code)} ${(valueOf('grpc-message') ?? '').slice(0, 200)}`.trim() }
  const message = onlyGrpcMessage(content)
  if (message === undefined) return { why: 'its answer is not one message without compression' }
  try {
    return read(message)
  } catch (error) {
    return { why: `its answer cannot be read: ${(error as Error).message}` }
  }
}
