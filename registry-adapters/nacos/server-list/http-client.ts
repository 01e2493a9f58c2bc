/**
 * HTTP towards Nacos servers: bounded in time and size, no redirects, no proxy from the environment, no credential in a
 * URL.
 */
import type { Clock } from '../../../contracts/clock.ts'
import type { Agent, IncomingHttpHeaders, RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { MeshError } from '../../../contracts/errors.ts'
import type { NacosTls } from '../config.ts'
import { maxPayloadBytes } from '../wire/payload.ts'
import type { NacosMember } from './server-list.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch: 16 MiB and 40 ms
// of each start.
const { Agent: HttpAgent, request: httpRequest } = process.getBuiltinModule('node:http')

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface HttpAsk {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below the context path. */
  readonly path: string
  /** Sent as form for POST, else in the query: old servers read no body of PUT and DELETE. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface HttpClientOptions {
  readonly contextPath: string
  readonly tls: NacosTls | undefined
  readonly timeoutMs: number
  readonly clock: Clock
}

/** Connections to one server; more requests wait for one of them. */
const maxSocketsPerServer = 16

export class HttpClient {
  private readonly options: HttpClientOptions
  private readonly agent: Agent | HttpsAgent

  constructor(options: HttpClientOptions) {
    this.options = options
    const pool = { keepAlive: true, maxSockets: maxSocketsPerServer, maxFreeSockets: 4, timeout: 30_000 }
    const tls = options.tls
    this.agent =
      tls === undefined
        ? new HttpAgent(pool)
        : new HttpsAgent({
            ...pool,
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
          })
  }

  /**
   * The answer, whatever its status. Rejects with E_REGISTRY_UNREACHABLE, E_REGISTRY_TIMEOUT or E_REGISTRY_PROTOCOL
   * (answer too large or torn).
   */
  ask(server: NacosMember, ask: HttpAsk): Promise<HttpAnswer> {
    const form = new URLSearchParams(ask.parameters).toString()
    const isForm = ask.method === 'POST'
    const path = `${this.options.contextPath}${ask.path}${isForm || form === '' ? '' : `?${form}`}`
    const body = isForm ? Buffer.from(form, 'utf8') : undefined
    const what = `nacos at ${server.id}: ${ask.method} ${ask.path}`
    const timeoutMs = ask.timeoutMs ?? this.options.timeoutMs
    const tls = this.options.tls
    const options: RequestOptions & { servername?: string } = {
      agent: this.agent,
      host: server.address,
      port: server.port,
      method: ask.method,
      path,
      headers: {
        host: `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`,
        'user-agent': 'hostmesh',
        'client-version': 'hostmesh',
        accept: '*/*',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8', 'content-length': body.length }),
        ...ask.headers,
      },
    }
    const serverName = tls?.serverName ?? server.host
    if (tls !== undefined && isIP(serverName) === 0) options.servername = serverName

    return new Promise((resolve, reject) => {
      const request = (tls === undefined ? httpRequest : httpsRequest)(options)
      let isDone = false
      const finish = (error: MeshError | undefined, answer?: HttpAnswer): void => {
        if (isDone) return
        isDone = true
        timer?.()
        ask.signal?.removeEventListener('abort', onAbort)
        if (answer !== undefined) return resolve(answer)
        request.destroy()
        reject(error as MeshError)
      }
      const onAbort = (): void => finish(new MeshError('E_REGISTRY_TIMEOUT', `${what}: given up by the caller`))
      const timer = this.options.clock.after(timeoutMs, () =>
        finish(new MeshError('E_REGISTRY_TIMEOUT', `${what}: no answer after ${timeoutMs} ms`)),
      )
      request.on('error', (cause) => finish(new MeshError('E_REGISTRY_UNREACHABLE', `${what}: ${cause.message}`)))
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > maxPayloadBytes)
            return finish(new MeshError('E_REGISTRY_PROTOCOL', `${what}: more than ${maxPayloadBytes} bytes`))
          chunks.push(chunk)
        })
        response.on('end', () =>
          finish(undefined, {
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        )
        response.on('error', (cause) => finish(new MeshError('E_REGISTRY_PROTOCOL', `${what}: answer torn`, { cause })))
        response.on('close', () => finish(new MeshError('E_REGISTRY_PROTOCOL', `${what}: answer torn`)))
      })
      // only now: a request that is destroyed without a listener would take the process with it
      if (ask.signal?.aborted === true) return onAbort()
      ask.signal?.addEventListener('abort', onAbort, { once: true })
      request.end(body)
    })
  }

  close(): void {
    this.agent.destroy()
  }
}

/** The answer as a JSON object, or undefined. */
export function jsonOf(answer: HttpAnswer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(answer.text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** The first words of what a server said, for an error text. */
export function excerpt(text: unknown): string {
  if (typeof text !== 'string') return ''
  return text.slice(0, 1000).replace(/\s+/g, ' ').trim().slice(0, 160)
}
