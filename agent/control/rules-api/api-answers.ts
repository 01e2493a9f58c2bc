/**
 * How the API of rules is asked over HTTP, at whatever listener: bodies, paths, watches and refusals. No traffic passes
 * here, so node:http is good enough.
 *
 * Bounds: 256 watches, 1 MiB of body.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../../contracts/clock.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { boundedBody } from '../../../guard/bounded-body.ts'
import { ApiError } from './api-error.ts'
import type { ApiReply, ApiRequest } from './api-section.ts'
import type { ApiUser } from './api-user.ts'
import type { Catalog } from './catalog.ts'
import { startWatch, type WatchOrder } from './watch-stream.ts'

export interface ApiAnswersDeps {
  readonly api: { answer(request: ApiRequest): Promise<ApiReply> }
  readonly catalog: Catalog
  readonly clock: Clock
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

const maxWatches = 256
const maxBodyBytes = 1024 * 1024

export class ApiAnswers {
  private readonly deps: ApiAnswersDeps
  private watches = 0

  constructor(deps: ApiAnswersDeps) {
    this.deps = deps
  }

  /** `userOf` throws ApiError for whoever is not let in; `from`: where the caller is, for the audit. */
  async answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    userOf: () => ApiUser,
    from: string,
  ): Promise<void> {
    const method = incoming.method ?? 'GET'
    // it concerns this caller alone, who is gone
    outgoing.on('error', (error) => this.deps.log.debug({ err: error }, `rules API: ${describeError(error)}`))
    try {
      const url = urlOf(incoming.url)
      const user = userOf()
      const reply = await this.deps.api.answer({
        method,
        path: pathOf(url),
        query: url.searchParams,
        contentType: incoming.headers['content-type'] ?? '',
        userAgent: incoming.headers['user-agent'] ?? '',
        body: await readText(incoming),
        user,
        from,
      })
      if ('watch' in reply) this.watch(incoming.socket, outgoing, reply.watch)
      else this.send(outgoing, method, reply)
    } catch (error) {
      this.refuse(incoming, outgoing, method, error)
    }
  }

  private send(outgoing: ServerResponse, method: string, reply: Exclude<ApiReply, { watch: unknown }>): void {
    this.deps.metrics.count('rules_api_requests', { method, code: String(reply.status) })
    const text = JSON.stringify(reply.body)
    // RFC 9110: quoted text; kubectl shows it
    const warnings = (reply.warnings ?? []).slice(0, 10).map((one) => `299 - ${JSON.stringify(plain(one))}`)
    if (warnings.length > 0) outgoing.setHeader('warning', warnings)
    outgoing.writeHead(reply.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    outgoing.end(method === 'HEAD' ? undefined : text)
  }

  private watch(socket: Socket, outgoing: ServerResponse, order: WatchOrder): void {
    const { metrics } = this.deps
    if (socket.destroyed) return
    if (this.watches >= maxWatches) throw new ApiError(429, `${maxWatches} watches are open, which is the bound`)
    metrics.count('rules_api_requests', { method: 'WATCH', code: '200' })
    metrics.gauge('rules_api_watches', {}, ++this.watches)
    outgoing.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    outgoing.flushHeaders()
    startWatch(
      this.deps.catalog,
      {
        write: (text) => outgoing.write(text),
        onDrain: (call) => void outgoing.on('drain', call),
        end: () => outgoing.end(),
        destroy: () => outgoing.destroy(),
        onClose: (call) => onceClosed(socket, outgoing, call),
      },
      order,
      {
        clock: this.deps.clock,
        onSlow: () => metrics.count('rules_api_watches_dropped', {}),
        onEnd: () => metrics.gauge('rules_api_watches', {}, --this.watches),
      },
    )
  }

  private refuse(incoming: IncomingMessage, outgoing: ServerResponse, method: string, error: unknown): void {
    if (incoming.destroyed && !incoming.complete && outgoing.destroyed) return
    const isOurs = error instanceof ApiError
    if (!isOurs)
      this.deps.log.error({ err: error, url: incoming.url?.slice(0, 200) }, `rules API: ${describeError(error)}`)
    const refusal = isOurs ? error : new ApiError(500, 'a bug of ours; the log has it', {}, 'InternalError')
    if (outgoing.headersSent) return void outgoing.destroy()
    // what is not read of a body would be taken for the next request
    if (!incoming.complete) outgoing.setHeader('connection', 'close')
    if (refusal.status === 401) outgoing.setHeader('www-authenticate', 'Bearer realm="hostmesh"')
    this.send(outgoing, method, { status: refusal.status, body: refusal.body() })
  }
}

/** An answer that waits behind another one hears nothing when their connection closes; else both are heard. */
function onceClosed(socket: Socket, outgoing: ServerResponse, call: () => void): void {
  let isClosed = false
  const closed = (): void => {
    socket.off('close', closed)
    if (!isClosed) call()
    isClosed = true
  }
  // a caller may have all of its watches on one connection
  socket.setMaxListeners(maxWatches + 10)
  socket.once('close', closed)
  outgoing.once('close', closed)
}

function urlOf(url: string | undefined): URL {
  try {
    return new URL(url ?? '/', 'http://api')
  } catch {
    throw new ApiError(400, 'the path is malformed')
  }
}

function pathOf(url: URL): string {
  try {
    return decodeURIComponent(url.pathname).replace(/\/$/, '')
  } catch {
    throw new ApiError(400, 'the path is malformed')
  }
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const tooLong = (): ApiError => new ApiError(413, `the body: more than ${maxBodyBytes} bytes, which is the bound`)
  if (Number(incoming.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLong()
  const body = await boundedBody(incoming, maxBodyBytes)
  if (body === undefined) throw tooLong()
  return body.toString()
}

/** What may stand in a header. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 1000)
}
