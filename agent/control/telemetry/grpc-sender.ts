/** OTLP over gRPC. The messages are bytes already, so no generated code is needed. */
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { tlsTarget } from '../../../contracts/tls-target.ts'
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

const bytesOf = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text))
const asIs = (bytes: Buffer): Buffer => bytes

export function grpcSender({ facts, fields, timeoutMs, tls, url }: GrpcSenderOptions): Sender {
  const isTls = url.protocol === 'https:'
  const target = tlsTarget(url.hostname.replaceAll(/[[\]]/g, ''))
  const identity = isTls
    ? credentials.createSsl(bytesOf(tls.ca), bytesOf(tls.key), bytesOf(tls.cert), target.verify)
    : credentials.createInsecure()
  const client = new Client(`${url.hostname}:${url.port === '' ? (isTls ? 443 : 80) : url.port}`, identity, {
    ...target.channel,
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
