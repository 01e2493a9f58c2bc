/** Asks a running agent over its admin address: `http://host:port` or the path of its unix socket. */
import type { Socket } from 'node:net'
import { MeshError } from '../contracts/errors.ts'

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
  const call = (method: string, path: string, body: string | undefined): Promise<AdminReply> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...target,
          method,
          path,
          timeout: timeoutMs,
          headers:
            body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
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
      outgoing.end(body)
    })
  return {
    where,
    get: (path) => call('GET', path, undefined),
    post: (path, body) => call('POST', path, body === undefined ? undefined : JSON.stringify(body)),
  }
}

/**
 * The agent by its socket, and by its address for whoever may not open that. Nowhere else does the address stand in for
 * the socket: when the agent is down, its port is anybody's. Errors: E_ADMIN_UNREACHABLE, with the reason of each that
 * was asked.
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
    post: (path, body) => ask((client) => client.post(path, body)),
  }
}

/** The body as JSON; E_ADMIN_REQUEST with the agent's own words when it answered anything but 2xx. */
export async function adminJson(client: AdminClient, path: string): Promise<unknown> {
  const reply = await client.get(path)
  if (reply.status < 200 || reply.status > 299) {
    throw new MeshError('E_ADMIN_REQUEST', `${client.where}${path}: status ${reply.status}: ${reply.text.trim()}`)
  }
  try {
    return JSON.parse(reply.text)
  } catch (cause) {
    throw new MeshError('E_ADMIN_REQUEST', `${client.where}${path}: the answer is not JSON`, { cause })
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
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port }
}
