/** Asks a running agent over its admin address: `http://host:port` or the path of its unix socket. */
import type { Socket } from 'node:net'
import { MeshError } from '../contracts/errors.ts'
import { withoutBrackets } from '../contracts/ip-literal.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch: 16 MiB and 40 ms
// of each start.
const { request } = process.getBuiltinModule('node:http')

export interface AdminReply {
  readonly status: number
  readonly text: string
}

export interface AdminClient {
  readonly where: string
  get(path: string): Promise<AdminReply>
  post(path: string, body?: unknown): Promise<AdminReply>
  /** A question to the API of rules, which takes other methods and types. */
  call(method: string, path: string, body?: { readonly type: string; readonly text: string }): Promise<AdminReply>
}

/** Longest answer that is read, in bytes; a config dump of a center with 10,000 services stays below it. */
const maxReplyBytes = 256 * 1024 * 1024

/**
 * @param where `/path/of/admin.sock`, `host:port` or `http://host:port`. Throws E_CONFIG_INVALID for anything else.
 * @param distrust why the answer that begins to come in on this connection is not the agent's; undefined = it is.
 * Nothing of it is read before.
 */
export function adminClient(
  where: string,
  timeoutMs: number,
  distrust?: (connection: Socket) => string | undefined,
): AdminClient {
  const target = parseWhere(where)
  const call: AdminClient['call'] = (method, path, body) =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...target,
          method,
          path,
          timeout: timeoutMs,
          headers:
            body === undefined ? {} : { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) },
        },
        (incoming) => {
          const stranger = distrust?.(incoming.socket)
          if (stranger !== undefined) {
            incoming.destroy()
            reject(new MeshError('E_ADMIN_UNREACHABLE', `${where}: ${stranger}`))
            return
          }
          const chunks: Buffer[] = []
          let held = 0
          incoming.on('data', (chunk: Buffer) => {
            held += chunk.length
            if (held > maxReplyBytes) incoming.destroy(new Error(`answer is longer than ${maxReplyBytes} bytes`))
            else chunks.push(chunk)
          })
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          )
          incoming.on('error', (cause) => reject(unreachable(where, cause)))
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer after ${timeoutMs} ms`)))
      outgoing.on('error', (cause) => reject(unreachable(where, cause)))
      // all that is heard of a server that changes the protocol
      outgoing.on('close', () => reject(unreachable(where, new Error('the connection ended without an answer'))))
      outgoing.end(body?.text)
    })
  return {
    where,
    get: (path) => call('GET', path),
    post: (path, body) =>
      call('POST', path, body === undefined ? undefined : { type: 'application/json', text: JSON.stringify(body) }),
    call,
  }
}

/**
 * The agent by its socket, and by its address for whoever may not open that and only wants to read: the address takes
 * orders of nobody else than the socket. Nowhere else does the address stand in for the socket: when the agent is down,
 * its port is anybody's. Errors: E_ADMIN_UNREACHABLE, with the reason of each that was asked.
 */
export function whereAllowed(atSocket: AdminClient, atAddress: AdminClient): AdminClient {
  const ask = async (call: (client: AdminClient) => Promise<AdminReply>): Promise<AdminReply> => {
    try {
      return await call(atSocket)
    } catch (refusal) {
      if (!isDenied(refusal instanceof MeshError ? refusal.cause : undefined)) throw refusal
      try {
        return await call(atAddress)
      } catch (error) {
        if (!(error instanceof MeshError) || error.code !== 'E_ADMIN_UNREACHABLE') throw error
        throw new MeshError('E_ADMIN_UNREACHABLE', `${(refusal as MeshError).message}; ${error.message}`, {
          cause: error,
        })
      }
    }
  }
  return {
    where: `${atSocket.where} or ${atAddress.where}`,
    get: (path) => ask((client) => client.get(path)),
    post: (path, body) => atSocket.post(path, body),
    call: (method, path, body) =>
      method === 'GET' ? ask((client) => client.call(method, path, body)) : atSocket.call(method, path, body),
  }
}

/** Asks for a page: {@link answerOf} says what becomes of the reply. */
export async function adminJson(client: AdminClient, path: string): Promise<unknown> {
  return answerOf(client, path, await client.get(path))
}

/** Gives an order: {@link answerOf} says what becomes of the reply. */
export async function orderJson(client: AdminClient, path: string, body: unknown): Promise<unknown> {
  return answerOf(client, path, await client.post(path, body))
}

/** As {@link orderJson}, of the API of rules; E_ADMIN_UNREACHABLE where what it needs for an answer is away. */
export async function apiJson(
  client: AdminClient,
  ...[method, path, body]: Parameters<AdminClient['call']>
): Promise<unknown> {
  return apiAnswer(client, path, await client.call(method, path, body))
}

function apiAnswer(client: AdminClient, path: string, reply: AdminReply): unknown {
  // nothing is wrong with what was asked
  if (reply.status === 503) throw new MeshError('E_ADMIN_UNREACHABLE', wordsOf(client, path, reply))
  return answerOf(client, path, reply)
}

/** Statuses by which the API refuses what it was given, and not who gives it, or where. */
const refusals = new Set([400, 409, 413, 415, 422])

/** Why the API of rules refuses what it is given; undefined = it does not. For anything else as {@link apiJson}. */
export async function apiRefusal(
  client: AdminClient,
  ...[method, path, body]: Parameters<AdminClient['call']>
): Promise<string | undefined> {
  const reply = await client.call(method, path, body)
  if (refusals.has(reply.status)) return wordsOf(client, path, reply)
  apiAnswer(client, path, reply)
  return undefined
}

/** The body as JSON; E_ADMIN_REQUEST in the words of whoever answered when it is anything but 2xx, or no JSON. */
function answerOf(client: AdminClient, path: string, { status, text }: AdminReply): unknown {
  if (status < 200 || status > 299) throw new MeshError('E_ADMIN_REQUEST', wordsOf(client, path, { status, text }))
  const body = jsonOf(text)
  if (body === undefined) throw new MeshError('E_ADMIN_REQUEST', `${client.where}${path}: the answer is not JSON`)
  return body
}

function wordsOf({ where }: AdminClient, path: string, { status, text }: AdminReply): string {
  const { message, error } = (jsonOf(text) ?? {}) as { message?: unknown; error?: unknown }
  // a Status of Kubernetes, whose message names what it is about
  if (typeof message === 'string') return message
  return `${where}${path}: status ${status}: ${typeof error === 'string' ? error : text.trim()}`
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(where: string, cause: NodeJS.ErrnoException): MeshError {
  const why = isDenied(cause) ? 'this user may not open it; use the user of the agent, or root' : 'is it running?'
  return new MeshError('E_ADMIN_UNREACHABLE', `${where}: the agent does not answer; ${why}`, { cause })
}

function isDenied(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  return code === 'EACCES' || code === 'EPERM'
}

function parseWhere(where: string): { socketPath: string } | { host: string; port: number } {
  if (where.startsWith('/')) return { socketPath: where }
  const text = where.replace(/^http:\/\//, '')
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${where}: not an admin address; allowed are host:port and the absolute path of a socket`,
    )
  }
  return { host: withoutBrackets(text.slice(0, colon)), port }
}
