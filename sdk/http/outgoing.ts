/**
 * A request as undici describes it, read once: whom it calls, its fields, and a body that may be sent again, or not.
 */
import { headers as meshHeaders } from '../../contracts/words.ts'
import { MeshError } from '../../contracts/errors.ts'

export interface DispatchOptions {
  readonly origin?: string | URL | undefined
  readonly path: string
  readonly method: string
  readonly headers?: unknown
  readonly body?: unknown
  readonly query?: Readonly<Record<string, unknown>> | undefined
  readonly idempotent?: boolean | undefined
  readonly headersTimeout?: number | null | undefined
  readonly bodyTimeout?: number | null | undefined
  readonly upgrade?: unknown
}

export interface Outgoing {
  /** The service as the caller names it. */
  readonly service: string
  readonly method: string
  readonly path: string
  /** Names and values in turn. */
  readonly fields: readonly string[]
  /** May be sent a second time when the first one may have been read. */
  readonly isIdempotent: boolean
  readonly body: OutgoingBody
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
}

/** `whole`: can be sent again. */
export type OutgoingBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | {
      readonly kind: 'stream'
      readonly chunks: AsyncIterable<unknown>
      /** No more is wanted: whoever gives it lets go of what is behind it, such as a file. */
      readonly discard?: () => void
    }

/** Streamed bodies up to this length are taken whole before anything is sent, so that they can be sent again. */
export const wholeBodyBytes = 64 * 1024

const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** Of one connection only, or written here. */
const ownFields = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'host'])
/** Undici's own. */
const defaultTimeoutMs = 300_000
const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Throws E_HTTP_BAD_REQUEST, E_ROUTE_NO_NAME or E_HTTP_METHOD, before anything is sent. */
export function readOutgoing(options: DispatchOptions): Outgoing {
  const { method, path } = options
  if ((options.upgrade !== undefined && options.upgrade !== null) || method === 'CONNECT')
    throw new MeshError('E_HTTP_METHOD', `${method}: an upgrade needs the service's localhost port`)
  if (typeof method !== 'string' || !tokenPattern.test(method)) throw bad('the method is no token')
  if (typeof path !== 'string' || !path.startsWith('/')) throw bad('the path does not begin with a slash')
  const origin = originOf(options.origin)
  const pairs = readFields(options.headers)
  const named = pairs.find(([name]) => name.toLowerCase() === meshHeaders.service)?.[1]
  const host = pairs.find(([name]) => name.toLowerCase() === 'host')?.[1]
  const service = named ?? origin?.hostname ?? host
  if (service === undefined || service === '') throw new MeshError('E_ROUTE_NO_NAME', `${method} ${path}: names nobody`)
  const fields = pairs.filter(([name]) => !ownFields.has(name.toLowerCase()))
  return {
    service,
    method,
    path: options.query === undefined ? path : withQuery(path, options.query),
    fields: ['host', host ?? origin?.host ?? service, ...fields.flat()],
    isIdempotent: options.idempotent ?? idempotentMethods.has(method),
    body: readBody(options.body),
    headersTimeoutMs: options.headersTimeout ?? defaultTimeoutMs,
    bodyTimeoutMs: options.bodyTimeout ?? defaultTimeoutMs,
  }
}

/** A short body that comes in pieces becomes a whole one; a long one stays what it is, with what was taken in front. */
export async function gathered(body: OutgoingBody): Promise<OutgoingBody> {
  if (body.kind === 'whole') return body
  const iterator = body.chunks[Symbol.asyncIterator]()
  const discard = (): void => void iterator.return?.().catch(() => undefined)
  const taken: Buffer[] = []
  let bytes = 0
  try {
    for (;;) {
      const { done, value } = await iterator.next()
      if (done === true) return { kind: 'whole', bytes: Buffer.concat(taken) }
      const chunk = chunkOf(value)
      taken.push(chunk)
      bytes += chunk.length
      if (bytes > wholeBodyBytes) return { kind: 'stream', chunks: continued(taken, iterator), discard }
    }
  } catch (error) {
    discard()
    throw error
  }
}

async function* continued(taken: readonly Buffer[], rest: AsyncIterator<unknown>): AsyncGenerator<Buffer> {
  try {
    yield* taken
    for (;;) {
      const { done, value } = await rest.next()
      if (done === true) return
      yield chunkOf(value)
    }
  } finally {
    await rest.return?.()
  }
}

function chunkOf(value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw bad('a piece of the body is neither text nor bytes')
}

function readBody(body: unknown): OutgoingBody {
  if (body === null || body === undefined) return { kind: 'whole', bytes: Buffer.alloc(0) }
  if (typeof body === 'string' || body instanceof Uint8Array) return { kind: 'whole', bytes: chunkOf(body) }
  if (body instanceof ArrayBuffer) return { kind: 'whole', bytes: Buffer.from(body) }
  const given = body as Partial<AsyncIterable<unknown> & Iterable<unknown>>
  if (typeof given[Symbol.asyncIterator] === 'function')
    return { kind: 'stream', chunks: given as AsyncIterable<unknown> }
  if (typeof given[Symbol.iterator] === 'function')
    return { kind: 'stream', chunks: fromIterable(given as Iterable<unknown>) }
  throw bad('the body is neither text, bytes nor a stream; use fetch() for forms and blobs')
}

async function* fromIterable(chunks: Iterable<unknown>): AsyncGenerator<unknown> {
  yield* chunks
}

function readFields(headers: unknown): [string, string][] {
  if (headers === null || headers === undefined) return []
  const pairs: [string, string][] = []
  const add = (name: unknown, value: unknown): void => {
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== null) pairs.push([textOf(name), textOf(one)])
  }
  if (Array.isArray(headers) && !headers.every((one) => Array.isArray(one))) {
    if (headers.length % 2 !== 0) throw bad('the list of header fields has a name without a value')
    for (let at = 0; at < headers.length; at += 2) add(headers[at], headers[at + 1])
  } else if (typeof (headers as Iterable<unknown>)[Symbol.iterator] === 'function')
    for (const [name, value] of headers as Iterable<[unknown, unknown]>) add(name, value)
  else for (const [name, value] of Object.entries(headers)) add(name, value)
  for (const [name] of pairs) if (!tokenPattern.test(name)) throw bad('a header field has a name that is no token')
  return pairs
}

function textOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value)
}

function originOf(origin: string | URL | undefined): URL | undefined {
  if (origin === undefined) return undefined
  const url = new URL(String(origin))
  if (url.protocol !== 'http:')
    throw bad(`${url.protocol}//${url.host}: say http; between hosts it is the mesh that encrypts`)
  return url
}

function withQuery(path: string, query: Readonly<Record<string, unknown>>): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) search.append(name, String(one))
  return `${path}${path.includes('?') ? '&' : '?'}${search.toString()}`
}

function bad(what: string): MeshError {
  return new MeshError('E_HTTP_BAD_REQUEST', what)
}
