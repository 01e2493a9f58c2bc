/**
 * The HTTP port that SOFARPC's registry `mesh` asks: five operations, each a POST with a JSON object. Answers are what
 * its client reads: 200 with `success`, and with `errorMessage` where that is false; what is no question of such a
 * client gets the status that says so.
 *
 * Bounds: 256 connections and 64 of one user (the longest idle one leaves), 64 KiB of body, 3 s for a head, 10 s for a
 * request. Nothing that a web page could have caused is answered.
 */
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type * as z from 'zod'
import { describeError } from '../../../../contracts/errors.ts'
import { ConnectionBudget } from '../../../../guard/connection-budget.ts'
import { RequestTurns } from '../../../../guard/request-turns.ts'
import { webPageRefusal } from '../../../../guard/web-page.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import { callerName, type Caller } from '../../../../guard/caller.ts'
import { formatHostPort, type HostPort } from '../../config/scalars.ts'
import { listening } from '../../listening.ts'
import type { Log } from '../../log.ts'
import { problemOf } from './requests.ts'

// Not `import`: that loads Node's fetch with it.
const { createServer } = process.getBuiltinModule('node:http')

const maxConnections = 256
const maxConnectionsPerUser = 64
const maxBodyBytes = 64 * 1024
const headTimeoutMs = 3000
const requestTimeoutMs = 10_000
const noNames: ReadonlySet<string> = new Set()

/** One question of clients: what its body must be, and what it does. Answers what else the reply says. */
export interface Operation<Body = unknown> {
  readonly body: z.ZodType<Body>
  run(body: Body, caller: Caller): Promise<object> | object
}

export interface FaceServerDeps {
  /** By path. */
  readonly operations: Readonly<Record<string, Operation>>
  readonly uidOf: (socket: Socket) => number | undefined
  readonly log: Log
  readonly metrics: AdapterMetrics
}

/** So that each operation is checked against its own body. */
export function operation<Body>(body: z.ZodType<Body>, run: Operation<Body>['run']): Operation {
  return { body, run: (value, caller) => run(value as Body, caller) }
}

export class FaceServer {
  private readonly deps: FaceServerDeps
  private readonly server: Server
  private readonly callers = new WeakMap<Socket, Caller>()
  private readonly budget: ConnectionBudget<Socket>

  constructor(deps: FaceServerDeps) {
    this.deps = deps
    this.budget = new ConnectionBudget({
      most: maxConnections,
      mostPerCaller: maxConnectionsPerUser,
      onBound: (bound) => deps.metrics.count('sofa_face_connections_refused', { bound }),
    })
    const turns = new RequestTurns({
      budget: this.budget,
      onPipelined: () => deps.metrics.count('sofa_face_connections_refused', { bound: 'pipelined' }),
    })
    const bounds = { headersTimeout: headTimeoutMs, requestTimeout: requestTimeoutMs, maxHeaderSize: 16 * 1024 }
    this.server = createServer({ ...bounds, connectionsCheckingInterval: 500 }, (incoming, outgoing) => {
      turns.take(incoming.socket, outgoing, () => void this.serve(incoming, outgoing))
    })
    this.server.prependListener('connection', (socket: Socket) => this.admit(socket))
    this.server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED; may be called again then. */
  listen(address: HostPort): Promise<void> {
    return listening(this.server, formatHostPort(address), address)
  }

  async close(): Promise<void> {
    if (!this.server.listening) return
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, 'close')
  }

  private admit(socket: Socket): void {
    const caller: Caller = { uid: this.deps.uidOf(socket), login: undefined }
    this.callers.set(socket, caller)
    if (this.budget.enter(socket, callerName(caller))) socket.once('close', () => this.budget.leave(socket))
    else socket.destroy()
  }

  private async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = (incoming.url ?? '').split('?', 1)[0]!
    const found = Object.hasOwn(this.deps.operations, path) ? this.deps.operations[path] : undefined
    const page = webPageRefusal(incoming.headers, noNames)
    if (page !== undefined) return this.refuse(outgoing, 403, page)
    if (found === undefined) return this.refuse(outgoing, 404, `no such operation; there are ${this.paths()}`)
    if (incoming.method !== 'POST') return this.refuse(outgoing, 405, 'POST alone is answered')
    const read = await readJson(incoming)
    if (typeof read === 'string') return this.refuse(outgoing, 400, read)
    const parsed = found.body.safeParse(read.value)
    if (!parsed.success) return this.refuse(outgoing, 400, problemOf(parsed.error))
    const caller = this.callers.get(incoming.socket) ?? { uid: undefined, login: undefined }
    try {
      const more = await found.run(parsed.data, caller)
      this.answer(outgoing, path, 'ok', { success: true, ...more })
    } catch (error) {
      const message = describeError(error)
      this.deps.log.warn({ caller: callerName(caller), path }, `sofa face: refused: ${message}`)
      this.answer(outgoing, path, 'refused', { success: false, errorMessage: message })
    }
  }

  private answer(outgoing: ServerResponse, operation: string, result: 'ok' | 'refused', body: object): void {
    this.deps.metrics.count('sofa_face_requests', { operation, result })
    send(outgoing, 200, body)
  }

  private refuse(outgoing: ServerResponse, status: number, errorMessage: string): void {
    this.deps.metrics.count('sofa_face_requests', { operation: 'none', result: String(status) })
    // what is not read whole goes with its connection
    outgoing.setHeader('connection', 'close')
    send(outgoing, status, { success: false, errorMessage })
  }

  private paths(): string {
    return Object.keys(this.deps.operations).join(', ')
  }
}

function send(outgoing: ServerResponse, status: number, body: object): void {
  if (outgoing.destroyed) return
  const bytes = Buffer.from(JSON.stringify(body))
  outgoing.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes)
}

/** The value, or why there is none. */
async function readJson(incoming: IncomingMessage): Promise<{ readonly value: unknown } | string> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > maxBodyBytes) return `a body of more than ${maxBodyBytes} bytes is not read`
      pieces.push(piece)
    }
    return { value: JSON.parse(Buffer.concat(pieces).toString('utf8')) as unknown }
  } catch {
    return 'the body is no JSON'
  }
}
