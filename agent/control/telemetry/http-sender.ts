/**
 * OTLP over HTTP with protobuf bodies (opentelemetry.io/docs/specs/otlp), and Zipkin's API v2 with JSON: one kept
 * connection, one request at a time.
 */
import { describeError } from '../../../contracts/errors.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { TlsTexts } from '../kinds/tls-files.ts'
import { exportParts, lengthOf, rejectedIn } from './envelope.ts'
import type { HostFacts, RecordGroup } from './envelope.ts'
import { connectProblem } from './destination.ts'
import { again } from './sender.ts'
import type { Sender, SendOutcome } from './sender.ts'
import { zipkinSpans } from './zipkin.ts'
import { withoutBrackets } from '../../../contracts/ip-literal.ts'

export interface HttpSenderOptions {
  readonly protocol: 'otlp-http' | 'zipkin'
  readonly url: URL
  readonly fields: Readonly<Record<string, string>>
  readonly tls: TlsTexts
  readonly timeoutMs: number
  readonly facts: HostFacts
}

/** OTLP names these; a load balancer adds 500 to none of them. */
const statusesOfAgain: ReadonlySet<number> = new Set([408, 429, 502, 503, 504])
const maxReplyBytes = 64 * 1024
/** Beyond it one more copy costs less than many writes: the records of many services, mixed. */
const maxParts = 64
const paths: Readonly<Record<Signal, string>> = { traces: 'v1/traces', logs: 'v1/logs' }

export function httpSender(options: HttpSenderOptions): Sender {
  const { facts, protocol, url } = options
  const isTls = url.protocol === 'https:'
  // Not `import`: see admin/server.ts.
  const { Agent, request } = process.getBuiltinModule(isTls ? 'node:https' : 'node:http')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const pathOf = (signal: Signal): string => {
    if (protocol === 'zipkin') return url.pathname === '/' ? '/api/v2/spans' : url.pathname
    return `${url.pathname.replace(/\/$/, '')}/${paths[signal]}`
  }
  const post = (path: string, type: string, body: readonly Buffer[]): Promise<SendOutcome> =>
    new Promise((resolve) => {
      const outgoing = request(
        {
          agent,
          host: withoutBrackets(url.hostname),
          port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
          path,
          method: 'POST',
          headers: {
            ...options.fields,
            'content-type': type,
            'content-length': lengthOf(body),
            'user-agent': 'hostmesh',
          },
          ...options.tls,
        },
        (reply) => {
          const chunks: Buffer[] = []
          let held = 0
          reply.on('data', (chunk: Buffer) => {
            held += chunk.length
            if (held <= maxReplyBytes) chunks.push(chunk)
          })
          reply.on('error', (error) => resolve(again(error.message)))
          reply.on('end', () =>
            resolve(outcomeOf(reply.statusCode ?? 0, reply.headers['retry-after'], Buffer.concat(chunks))),
          )
        },
      )
      const overall = setTimeout(
        () => outgoing.destroy(new Error(`no answer after ${options.timeoutMs} ms`)),
        options.timeoutMs,
      )
      overall.unref()
      outgoing.on('error', (error) => resolve(again(connectProblem(error))))
      outgoing.on('close', () => {
        clearTimeout(overall)
        // all that is heard of a server that changes the protocol
        resolve(again('the connection ended without an answer'))
      })
      if (body.length > maxParts) outgoing.end(Buffer.concat(body))
      else {
        outgoing.cork()
        for (const part of body) outgoing.write(part)
        outgoing.end()
      }
    })
  return {
    send: async (signal, groups: readonly RecordGroup[]) => {
      try {
        return protocol === 'zipkin'
          ? await post(pathOf(signal), 'application/json', [Buffer.from(JSON.stringify(zipkinSpans(groups, facts)))])
          : await post(pathOf(signal), 'application/x-protobuf', exportParts(groups, facts))
      } catch (error) {
        return { kind: 'refused', reason: describeError(error) }
      }
    },
    close: () => agent.destroy(),
  }
}

function outcomeOf(status: number, retryAfter: string | undefined, body: Buffer): SendOutcome {
  if (status >= 200 && status <= 299) {
    const { count, message } = rejectedIn(body)
    return { kind: 'taken', rejected: count, reason: message }
  }
  const reason = `status ${status}`
  if (!statusesOfAgain.has(status)) return { kind: 'refused', reason }
  const seconds = Number(retryAfter)
  return again(reason, Number.isFinite(seconds) && retryAfter !== undefined ? seconds * 1000 : undefined)
}
