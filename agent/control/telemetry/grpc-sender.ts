/** OTLP over gRPC. The messages are bytes already, so no generated code is needed. */
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { grpcTls } from '../../../contracts/grpc-tls.ts'
import { withoutBrackets } from '../../../contracts/ip-literal.ts'
import type { TlsTexts } from '../kinds/tls-files.ts'
import { exportRequest, rejectedIn, servicePath } from './envelope.ts'
import type { HostFacts } from './envelope.ts'
import { connectProblem } from './destination.ts'
import { again } from './sender.ts'
import type { Sender, SendOutcome } from './sender.ts'

export interface GrpcSenderOptions {
  readonly url: URL
  readonly fields: Readonly<Record<string, string>>
  readonly tls: TlsTexts
  readonly timeoutMs: number
  readonly facts: HostFacts
}

/** Those of OTLP's specification. */
const codesOfAgain: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
])

const asIs = (bytes: Buffer): Buffer => bytes

export function grpcSender({ facts, fields, timeoutMs, tls, url }: GrpcSenderOptions): Sender {
  const isTls = url.protocol === 'https:'
  const { channel, ssl } = grpcTls(withoutBrackets(url.hostname), tls)
  const identity = isTls ? credentials.createSsl(...ssl) : credentials.createInsecure()
  const client = new Client(`${url.hostname}:${url.port === '' ? (isTls ? 443 : 80) : url.port}`, identity, {
    ...channel,
    'grpc.max_receive_message_length': 64 * 1024,
  })
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return {
    send: (signal, groups) =>
      new Promise<SendOutcome>((resolve) => {
        client.makeUnaryRequest(
          servicePath[signal],
          asIs,
          asIs,
          exportRequest(groups, facts),
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error: ServiceError | null, reply?: Buffer) => {
            if (error === null) {
              const { count, message } = rejectedIn(reply ?? Buffer.alloc(0))
              resolve({ kind: 'taken', rejected: count, reason: message })
              return
            }
            const reason = connectProblem(`${status[error.code]}: ${error.details}`)
            resolve(codesOfAgain.has(error.code) ? again(reason) : { kind: 'refused', reason })
          },
        )
      }),
    close: () => client.close(),
  }
}
