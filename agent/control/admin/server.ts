/**
 * The HTTP servers of control: admin on loopback and on a 0600 unix socket, metrics, readiness, and a center's
 * read-only API. No traffic passes here, so node:http is good enough.
 *
 * One table of pages serves all; a port shows only the pages that are public there. Bounds: 64 connections per server
 * and 16 per caller (at either the longest idle one leaves), one request at a time of each, 1 MiB of body, 3 s for a
 * head, 10 s per request. What parts answer at the socket for themselves has bounds of its own.
 */
import { chmodSync, renameSync, rmSync, statSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { MeshError, describeError } from '../../../contracts/errors.ts'
import { isLoopback } from '../../../contracts/ip-literal.ts'
import { quotaKey } from '../../../contracts/quota-key.ts'
import { formatHostPort, type HostPort } from '../config/scalars.ts'
import { nearest } from '../config/nearest.ts'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { boundedBody } from '../../../guard/bounded-body.ts'
import { ConnectionBudget } from '../../../guard/connection-budget.ts'
import type { LocalCallers } from '../../../guard/local-callers.ts'
import { RequestTurns } from '../../../guard/request-turns.ts'
import { listening } from '../listening.ts'
import type { Log } from '../log.ts'
import { ConsoleFiles, consolePage, isConsoleFile } from './console/files.ts'
import {
  isOwner,
  jsonReply,
  refusal,
  textReply,
  type AdminPage,
  type AdminReply,
  type AdminRequest,
  type Asker,
  type SocketApi,
} from './http.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch: 16 MiB and 40 ms
// of each start.
const { createServer } = process.getBuiltinModule('node:http')

export type AdminPort = 'admin' | 'metrics' | 'readiness' | 'api'

/** Who can come in: whoever reaches the port, only who is no web page, only who may open the file. */
type Access = 'open' | 'guarded' | 'socket'

/** A port that is meant for other hosts is asked by whatever name it has there. */
const noNames: ReadonlySet<string> = new Set()
const stranger: Asker = { isAtSocket: false, uid: undefined }
const maxConnections = 64
const maxConnectionsPerCaller = 16
const maxBodyBytes = 1024 * 1024
const headTimeoutMs = 3000
const requestTimeoutMs = 10_000
/** How often Node looks for connections that are over their time. */
const timeoutLookMs = 500

export interface AdminServerDeps {
  readonly log: Log
  readonly metrics: Pick<AdapterMetrics, 'count'>
  readonly callers: Pick<LocalCallers, 'uidOf'>
  readonly socketApis: readonly SocketApi[]
}

export class AdminServer {
  private readonly pages: readonly AdminPage[]
  private readonly deps: AdminServerDeps
  private readonly servers = new Set<Server>()
  private readonly consoleFiles = new ConsoleFiles()
  private socket: { readonly path: string; readonly inode: number } | undefined

  constructor(pages: readonly AdminPage[], deps: AdminServerDeps) {
    this.pages = pages
    this.deps = deps
  }

  /** Answers the port. Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED. */
  async listen(port: AdminPort, address: HostPort): Promise<number> {
    // metrics and readiness are asked by name (a scraper, a load balancer) and tell nothing worth stealing; an API that
    // left loopback was opened on purpose
    const server = this.server(
      port,
      port === 'admin' || (port === 'api' && isLoopback(address.host)) ? 'guarded' : 'open',
    )
    await listening(server, formatHostPort(address), { host: address.host, port: address.port })
    this.servers.add(server)
    const bound = server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : address.port
  }

  /**
   * The unix socket takes the place of whatever is there in one step, so that a client finds the old generation or the
   * new one, never nothing.
   */
  async listenSocket(path: string): Promise<void> {
    const server = this.server('admin', 'socket')
    const temporary = `${path}.${process.pid}`
    rmSync(temporary, { force: true })
    await listening(server, path, { path: temporary })
    chmodSync(temporary, 0o600)
    renameSync(temporary, path)
    this.socket = { path, inode: statSync(path).ino }
    this.servers.add(server)
  }

  /**
   * Leaves the path of the socket to a successor, which puts its own there at any moment. To look first and then remove
   * would take away the successor's now and then: nobody could ask it until the next restart.
   */
  leaveSocket(): void {
    this.socket = undefined
  }

  /** Removes the socket from its path, unless that was left to a successor. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.servers].map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            server.closeAllConnections()
          }),
      ),
    )
    this.servers.clear()
    const { socket } = this
    this.socket = undefined
    // only our own: another process may have put its socket there
    if (socket !== undefined && statSync(socket.path, { throwIfNoEntry: false })?.ino === socket.inode)
      rmSync(socket.path, { force: true })
  }

  /** The answer to a request; separate from sockets for tests. */
  async answer(port: AdminPort, request: AdminRequest): Promise<AdminReply> {
    const visible = this.pages.filter((page) => port === 'admin' || page.isPublic === port)
    const here = visible.filter((page) => page.path === request.path)
    if (here.length === 0) {
      const closest = nearest(request.path, new Set(visible.map((page) => page.path)))
      const hint = closest === undefined ? '' : ` (nearest: ${closest})`
      return problem(request, 404, `${request.path}: no such page${hint}; /help lists all`)
    }
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const page = here.find((one) => one.method === method)
    if (page === undefined) {
      const allowed = here.map((one) => one.method).join(', ')
      return problem(
        request,
        405,
        `${request.path}: ${request.method} is not allowed, use ${allowed}; GET never changes anything`,
      )
    }
    if (page.isOwnersOnly === true && !request.isOwner)
      return problem(request, 403, `${request.path} is for root and the agent's own user`)
    try {
      return await page.answer(request)
    } catch (error) {
      const isOurs = error instanceof MeshError
      if (!isOurs)
        this.deps.log.error({ path: request.path, err: error }, `admin ${request.path}: ${describeError(error)}`)
      const status = !isOurs ? 500 : error.code === 'E_ADMIN_REQUEST' || error.source === 'config' ? 400 : 503
      return problem(request, status, describeError(error))
    }
  }

  private server(port: AdminPort, access: Access): Server {
    const server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: headTimeoutMs,
        connectionsCheckingInterval: timeoutLookMs,
        maxHeaderSize: 16_384,
        keepAliveTimeout: 5000,
      },
      (incoming, outgoing) => {
        const { socket } = incoming
        const asker = askers.get(socket) ?? stranger
        turns.take(socket, outgoing, () => void this.serve(port, access, asker, incoming, outgoing))
      },
    )
    const askers = new WeakMap<Socket, Asker>()
    const budget = new ConnectionBudget<Socket>({
      most: maxConnections,
      mostPerCaller: maxConnectionsPerCaller,
      onBound: (bound) => this.deps.metrics.count('admin_connections_refused', { port, bound }),
    })
    const turns = new RequestTurns({
      budget,
      onPipelined: () => this.deps.metrics.count('admin_connections_refused', { port, bound: 'pipelined' }),
    })
    server.prependListener('connection', (socket) => {
      const isAtSocket = access === 'socket'
      const uid = isAtSocket ? undefined : this.deps.callers.uidOf(socket)
      askers.set(socket, { isAtSocket, uid })
      const caller = uid === undefined ? quotaKey(socket.remoteAddress ?? 'socket') : `user ${uid}`
      if (budget.enter(socket, caller)) socket.once('close', () => budget.leave(socket))
      else socket.destroy()
    })
    server.on('clientError', (_error, socket) => socket.destroy())
    server.unref()
    return server
  }

  private async serve(
    port: AdminPort,
    access: Access,
    asker: Asker,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const url = parseUrl(incoming.url)
    const isConsole = port === 'admin' && url !== undefined && isConsoleFile(url.pathname)
    if (isConsole) return this.consoleFiles.serve(url.pathname, incoming, outgoing)
    const api = url === undefined ? undefined : this.deps.socketApis.find((one) => one.serves(url.pathname))
    if (api !== undefined && access === 'socket') return api.answer(incoming, outgoing)
    const refused = refusal(incoming, asker, access === 'open' ? 'any' : noNames)
    if (refused !== undefined || url === undefined) {
      send(outgoing, textReply(refused?.text ?? 'the path is malformed', refused?.status ?? 400), false)
      incoming.resume()
      return
    }
    const isReading = incoming.method === 'GET' || incoming.method === 'HEAD'
    if (isReading && announcesBody(incoming)) {
      // no page takes it: it is not waited for, and its connection ends with the answer
      outgoing.setHeader('connection', 'close')
      incoming.resume()
    }
    const body = isReading ? { value: undefined } : await readBody(incoming)
    if (body === undefined) {
      send(outgoing, textReply(`a body of more than ${maxBodyBytes} bytes or of broken JSON is not read`, 400), false)
      return
    }
    const asked = port === 'admin' ? consolePage(url.pathname) : undefined
    const reply = await this.answer(port, {
      method: incoming.method ?? 'GET',
      path: asked ?? url.pathname,
      query: url.searchParams,
      body: body.value,
      isJson: asked !== undefined || url.searchParams.get('format') === 'json',
      isOwner: isOwner(asker),
      ...(isOwner(asker) ? {} : { caller: `user ${asker.uid ?? 'unknown'}` }),
    })
    send(outgoing, reply, incoming.method === 'HEAD')
  }
}

function problem(request: AdminRequest, status: number, text: string): AdminReply {
  return request.isJson ? jsonReply({ error: text }, status) : textReply(text, status)
}

function send(outgoing: ServerResponse, reply: AdminReply, isHead: boolean): void {
  outgoing.writeHead(reply.status, {
    'content-type': reply.contentType,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  outgoing.end(isHead ? undefined : reply.body)
}

function parseUrl(url: string | undefined): URL | undefined {
  try {
    return new URL(url ?? '/', 'http://admin')
  } catch {
    return undefined
  }
}

function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The parsed body, an empty object around undefined without one, or undefined when it is too long or no JSON. */
async function readBody(incoming: IncomingMessage): Promise<{ value: unknown } | undefined> {
  try {
    const body = await boundedBody(incoming, maxBodyBytes)
    if (body === undefined) return undefined
    return { value: body.length === 0 ? undefined : (JSON.parse(body.toString()) as unknown) }
  } catch {
    return undefined
  }
}
