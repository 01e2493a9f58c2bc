/** The HTTP port: `node:http`, routes by method and path, credentials, bounds. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { AdapterLog, AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import { ByteBudget } from '../../../../guard/byte-budget.ts'
import { ConnectionBudget } from '../../../../guard/connection-budget.ts'
import { RequestTurns } from '../../../../guard/request-turns.ts'
import { webPageRefusal } from '../../../../guard/web-page.ts'
import type { Auth } from '../auth.ts'
import { callerName } from '../../../../guard/caller.ts'
import { asFault, NacosFault } from '../fault.ts'
import type { NacosLimits } from '../limits.ts'
import type { NacosAnswer, NacosRequest, Routes } from './exchange.ts'
import { json, resultFault, textFault } from './exchange.ts'
import { openRoutes } from './server-routes.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch: 16 MiB and 40 ms
// of each start.
const { createServer } = process.getBuiltinModule('node:http')

export interface HttpServerDeps {
  /** Requests wait for it. */
  readonly ready: Promise<void>
  readonly routes: Routes
  readonly auth: Auth
  readonly limits: Pick<
    NacosLimits,
    'maxHttpConnections' | 'maxHttpConnectionsPerUser' | 'maxMessageBytes' | 'maxBodyTotalBytes' | 'maxBodyBytesPerUser'
  >
  /** The user of this host at the other end; undefined = not known. */
  readonly uidOf: (socket: Socket) => number | undefined
  /** In lower case. */
  readonly hostNames: ReadonlySet<string>
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

/** Clients put this before each path. */
const contextPath = '/nacos'

/**
 * A server that is not listening yet; who listens closes it.
 *
 * A request that cannot be read is answered with 400, one that is too large with 413, one that a web page could have
 * caused with 403, one whose body finds no room with 503. At the bounds of connections the longest idle one leaves. A
 * head may take 3 s.
 */
export function createHttpServer(deps: HttpServerDeps): Server {
  const server = createServer(
    {
      requestTimeout: 30_000,
      headersTimeout: 3_000,
      connectionsCheckingInterval: 500,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 64 * 1024,
    },
    (incoming, outgoing) => {
      const { socket } = incoming
      const uid = uids.get(socket)
      turns.take(socket, outgoing, () => void serve(deps, bodies, uid, incoming, outgoing))
    },
  )
  const { limits, metrics } = deps
  const uids = new WeakMap<Socket, number | undefined>()
  const bodies = new ByteBudget({ most: limits.maxBodyTotalBytes, mostPerCaller: limits.maxBodyBytesPerUser })
  const budget = new ConnectionBudget<Socket>({
    most: limits.maxHttpConnections,
    mostPerCaller: limits.maxHttpConnectionsPerUser,
    onBound: (bound) =>
      metrics.count('nacos_face_refused', {
        bound: bound === 'most' ? 'maxHttpConnections' : 'maxHttpConnectionsPerUser',
      }),
  })
  const turns = new RequestTurns({
    budget,
    onPipelined: () => metrics.count('nacos_face_refused', { bound: 'pipelined' }),
  })
  server.prependListener('connection', (socket) => {
    const uid = deps.uidOf(socket)
    uids.set(socket, uid)
    if (budget.enter(socket, callerName({ uid }))) socket.once('close', () => budget.leave(socket))
    else socket.destroy()
  })
  return server
}

async function serve(
  deps: HttpServerDeps,
  bodies: ByteBudget,
  uid: number | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  outgoing.once('error', () => gone.abort())
  let path = ''
  let answer: NacosAnswer
  let held = 0
  const hold = (bytes: number): boolean => {
    if (!bodies.take(callerName({ uid }), bytes)) return false
    held += bytes
    return true
  }
  try {
    const page = webPageRefusal(incoming.headers, deps.hostNames)
    if (page !== undefined) throw new NacosFault('denied', page)
    await deps.ready
    const url = targetOf(incoming)
    path = url.pathname.startsWith(`${contextPath}/`) ? url.pathname.slice(contextPath.length) : ''
    const route = `${incoming.method ?? ''} ${path}`
    const handler = Object.hasOwn(deps.routes, route) ? deps.routes[route] : undefined
    if (handler === undefined) throw new NacosFault('no-such-api', `no such api: ${incoming.method}:${url.pathname}`)
    const params = await paramsOf(incoming, url, deps.limits.maxMessageBytes, hold)
    const headers = headersOf(incoming)
    let login: string | undefined
    if (!openRoutes.has(route)) {
      login = deps.auth.check({
        token: params.get('accessToken') ?? headers['accesstoken'] ?? bearer(headers['authorization']),
        username: params.get('username') ?? undefined,
        password: params.get('password') ?? undefined,
      })
    }
    const caller = { uid, login }
    const request: NacosRequest = { method: incoming.method ?? '', path, params, headers, caller, signal: gone.signal }
    answer = await handler(request)
    deps.metrics.count('nacos_face_requests', { interface: 'http', result: 'ok' })
  } catch (error) {
    const fault = asFault(error)
    if (fault.kind === 'server') deps.log.warn({ path, error: fault.message }, 'nacos face: request failed')
    if (fault.kind === 'over-limit')
      deps.metrics.count('nacos_face_refused', { bound: fault.message.split(':')[0] ?? '' })
    deps.metrics.count('nacos_face_requests', { interface: 'http', result: fault.kind })
    answer = faultAnswer(path, fault)
  } finally {
    bodies.give(callerName({ uid }), held)
  }
  write(incoming, outgoing, answer)
}

/** Each line of the interface has its own form of refusal. */
function faultAnswer(path: string, fault: NacosFault): NacosAnswer {
  if (fault.kind === 'denied' && !path.includes('/login')) {
    return json({ status: 403, error: 'Forbidden', message: fault.message, path: contextPath + path }, 403)
  }
  if (fault.kind === 'no-such-api') return json({ status: 404, error: 'Not Found', message: fault.message }, 404)
  return /^\/v[23]\//.test(path) ? resultFault(fault) : textFault(fault)
}

function targetOf(incoming: IncomingMessage): URL {
  try {
    return new URL(incoming.url ?? '/', 'http://face')
  } catch {
    throw new NacosFault('parameter-invalid', 'request target: not a path')
  }
}

function headersOf(incoming: IncomingMessage): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    headers[name] = Array.isArray(value) ? value[0] : value
  }
  return headers
}

function bearer(header: string | undefined): string | undefined {
  return header?.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined
}

async function paramsOf(
  incoming: IncomingMessage,
  url: URL,
  maxBytes: number,
  hold: (bytes: number) => boolean,
): Promise<URLSearchParams> {
  const params = url.searchParams
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new NacosFault('too-large', `body: more than ${maxBytes} bytes; nothing was changed`)
    if (!hold(chunk.length))
      throw new NacosFault('over-limit', 'maxBodyTotalBytes: too many bodies at a time; nothing was changed, ask again')
    chunks.push(chunk)
  }
  if (size === 0) return params
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
  for (const [name, value] of form) {
    if (!params.has(name)) params.append(name, value)
  }
  return params
}

function write(incoming: IncomingMessage, outgoing: ServerResponse, answer: NacosAnswer): void {
  if (outgoing.destroyed || outgoing.headersSent) return
  const body = Buffer.from(answer.body, 'utf8')
  const isWhole = incoming.complete
  outgoing.writeHead(answer.status, {
    ...answer.headers,
    'Content-Type': answer.type,
    'Content-Length': body.length,
    ...(isWhole ? {} : { Connection: 'close' }),
  })
  outgoing.end(body)
}
