/**
 * A small HTTP client for registries that speak JSON: several servers of which one is used until it fails, one bound on
 * time and one on size for every answer, and streams of lines whose silence is noticed. Connections are kept.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import { GrowingBuffer } from './growing-buffer.ts'

export interface HttpServer {
  readonly host: string
  readonly port: number
  /** Before every path, without a slash at the end. */
  readonly prefix?: string
}

export interface TlsTexts {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface HttpClientOptions {
  readonly servers: readonly HttpServer[]
  /** undefined = plain. Read with each new connection. */
  readonly tls: () => TlsTexts | undefined
  /** Added to every request; credentials are read here, each time. */
  readonly headers: () => Readonly<Record<string, string>>
  readonly clock: Clock
  readonly random: () => number
}

export interface HttpQuestion {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** With query, encoded. */
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  /** Until the whole answer is there. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Default 16 MiB. */
  readonly maxBytes?: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/** The answer was longer than its bound, and was not read. */
export class OversizeAnswer extends MeshError {}

/** A list of 10,000 instances fits several times. */
const defaultMaxBytes = 16 * 1024 * 1024
/** Longest line of a stream. */
const maxLineBytes = 4 * 1024 * 1024
/**
 * Connections to one server: more questions wait for one another. A stream holds its own for minutes, so streams have
 * places of their own, more than any configuration needs (the rules and slices of a cluster: 196).
 */
const maxSockets = { questions: 128, streams: 256 } as const
/** So much, and for so long, the rest of a refusal is read. */
const maxUnused = { bytes: 64 * 1024, ms: 5000 } as const

export class HttpClient {
  private readonly options: HttpClientOptions
  private current: number
  private readonly agents = new Map<keyof typeof maxSockets, { readonly agent: http.Agent; readonly of: string }>()

  constructor(options: HttpClientOptions) {
    this.options = options
    this.current = Math.floor(options.random() * options.servers.length)
  }

  /** The server that is asked now, `host:port`. */
  get server(): string {
    const { host, port } = this.options.servers[this.current]!
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  }

  /**
   * Rejects with E_REGISTRY_UNREACHABLE, _TIMEOUT, _DENIED (401, 403), _PROTOCOL (too large). Any other status is an
   * answer.
   */
  ask(question: HttpQuestion): Promise<HttpAnswer> {
    const { maxBytes = defaultMaxBytes } = question
    return this.open(question, question.timeoutMs, (response, resolve, reject) => {
      const bytes = new GrowingBuffer(maxBytes)
      response.on('data', (chunk: Buffer) => {
        if (bytes.add(chunk)) return
        reject(
          new OversizeAnswer(
            'E_REGISTRY_PROTOCOL',
            `${this.what(question)}: an answer over ${maxBytes} bytes is not read`,
          ),
        )
        response.destroy()
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: bytes.take() }),
      )
    })
  }

  /**
   * Hands every line of a long answer to `onLine` as it comes. Resolves when the server ends the answer, with its
   * status; a status other than 200 has its text as the only line. Rejects when nothing comes for `silenceMs`.
   */
  stream(
    question: Omit<HttpQuestion, 'timeoutMs'>,
    silenceMs: number,
    onLine: (line: string) => void,
  ): Promise<number> {
    return this.open({ ...question, timeoutMs: silenceMs }, undefined, (response, resolve, reject) => {
      const held = new GrowingBuffer(maxLineBytes)
      const { clock } = this.options
      let heardAt = clock.monotonic()
      const listen = (): (() => void) =>
        clock.after(Math.max(1, heardAt + silenceMs - clock.monotonic()), () => {
          if (clock.monotonic() < heardAt + silenceMs) {
            cancel = listen()
            return
          }
          reject(new MeshError('E_REGISTRY_TIMEOUT', `${this.what(question)}: no word for ${silenceMs} ms`))
          response.destroy()
        })
      let cancel = listen()
      response.on('close', () => cancel())
      const fail = (error: MeshError): void => {
        reject(error)
        response.destroy()
      }
      const tooLong = (): void =>
        fail(new MeshError('E_REGISTRY_PROTOCOL', `${this.what(question)}: a line over ${maxLineBytes} bytes`))
      const hand = (): void => {
        const line = held.take()
        if (line === '' || response.destroyed) return
        try {
          onLine(line)
        } catch (cause) {
          fail(new MeshError('E_REGISTRY_PROTOCOL', `${this.what(question)}: a line that makes no sense`, { cause }))
        }
      }
      response.on('data', (chunk: Buffer) => {
        let from = 0
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
          // a word is a whole line: single bytes keep nobody waiting
          heardAt = clock.monotonic()
          if (!held.add(chunk.subarray(from, at))) return tooLong()
          hand()
          from = at + 1
        }
        if (!held.add(chunk.subarray(from))) tooLong()
      })
      response.on('end', () => {
        hand()
        resolve(response.statusCode ?? 0)
      })
    })
  }

  close(): void {
    for (const { agent } of this.agents.values()) agent.destroy()
  }

  private open<T>(
    question: HttpQuestion,
    totalMs: number | undefined,
    read: (response: http.IncomingMessage, resolve: (value: T) => void, reject: (error: MeshError) => void) => void,
  ): Promise<T> {
    const index = this.current
    const server = this.options.servers[index]!
    const tls = this.options.tls()
    const text =
      question.body === undefined || typeof question.body === 'string' ? question.body : JSON.stringify(question.body)
    const isJson = question.body !== undefined && typeof question.body !== 'string'
    return new Promise((resolve, reject) => {
      const type = question.contentType ?? (isJson ? 'application/json' : undefined)
      const request = (tls === undefined ? http : https).request({
        host: server.host,
        port: server.port,
        method: question.method ?? 'GET',
        path: `${server.prefix ?? ''}${question.path}`,
        agent: this.agentFor(totalMs === undefined ? 'streams' : 'questions', tls),
        headers: {
          accept: 'application/json',
          ...this.options.headers(),
          ...(type === undefined ? {} : { 'content-type': type }),
          // node does not say it for every method
          ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }),
        },
        ...(question.signal === undefined ? {} : { signal: question.signal }),
      })
      const cancel = this.options.clock.after(question.timeoutMs, () => {
        fail(new MeshError('E_REGISTRY_TIMEOUT', `${this.what(question)}: no answer in ${question.timeoutMs} ms`), true)
        request.destroy()
      })
      const fail = (error: MeshError, isServersFault: boolean): void => {
        cancel()
        // the next question goes to another server
        if (isServersFault && this.current === index) this.current = (index + 1) % this.options.servers.length
        reject(error)
      }
      request.on('error', (cause) =>
        fail(
          new MeshError('E_REGISTRY_UNREACHABLE', `${this.what(question)}: ${cause.message}`),
          question.signal?.aborted !== true,
        ),
      )
      request.on('response', (response) => {
        // a stream has no end to wait for: from here on its silence counts
        if (totalMs === undefined) cancel()
        const { statusCode } = response
        if (statusCode === 401 || statusCode === 403) {
          this.leave(response)
          fail(new MeshError('E_REGISTRY_DENIED', `${this.what(question)}: refused with ${statusCode}`), false)
          return
        }
        response.on('error', (cause) =>
          fail(new MeshError('E_REGISTRY_UNREACHABLE', `${this.what(question)}: ${cause.message}`), true),
        )
        read(
          response,
          (value) => {
            cancel()
            resolve(value)
          },
          (error) => fail(error, error.code !== 'E_REGISTRY_PROTOCOL'),
        )
      })
      request.end(text)
    })
  }

  /** Nothing of it is used. What ends soon leaves its connection to others; anything else gives its place back. */
  private leave(response: http.IncomingMessage): void {
    let left = maxUnused.bytes
    const cancel = this.options.clock.after(maxUnused.ms, () => response.destroy())
    response.on('close', cancel)
    response.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) response.destroy()
    })
  }

  private agentFor(use: keyof typeof maxSockets, tls: TlsTexts | undefined): http.Agent {
    // another certificate is another agent; old connections end by themselves
    const mark = tls === undefined ? '' : JSON.stringify(tls)
    const known = this.agents.get(use)
    if (known?.of === mark) return known.agent
    known?.agent.destroy()
    const options = { keepAlive: true, maxSockets: maxSockets[use], maxFreeSockets: 8, keepAliveMsecs: 10_000 }
    const agent = tls === undefined ? new http.Agent(options) : new https.Agent({ ...options, ...tls })
    this.agents.set(use, { agent, of: mark })
    return agent
  }

  /** Without the query, which may hold names of others. */
  private what(question: Pick<HttpQuestion, 'method' | 'path'>): string {
    return `${this.server} ${question.method ?? 'GET'} ${question.path.split('?')[0]!.slice(0, 200)}`
  }
}

/** The JSON of a good answer. Throws E_REGISTRY_PROTOCOL for another status or other content. */
export function jsonOf(answer: HttpAnswer, what: string): unknown {
  if (answer.status < 200 || answer.status > 299)
    throw new MeshError('E_REGISTRY_PROTOCOL', `${what}: answered ${answer.status}: ${answer.text.slice(0, 200)}`)
  try {
    return JSON.parse(answer.text)
  } catch (cause) {
    throw new MeshError('E_REGISTRY_PROTOCOL', `${what}: the answer is no JSON`, { cause })
  }
}
