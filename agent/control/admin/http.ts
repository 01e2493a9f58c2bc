/** What an admin page is given and what it answers; and the guard in front of all pages. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isOwnPage, webPageRefusal } from '../../../guard/web-page.ts'
import { printable } from '../events/clean-text.ts'

export interface AdminRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
  readonly isJson: boolean
  /** Root or the agent's own user asks. */
  readonly isOwner: boolean
  /** In whose share of a bound it counts; absent = nobody's. */
  readonly caller?: string
}

export interface AdminReply {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface AdminPage {
  readonly path: string
  /** `GET` pages never change anything; `POST` and `DELETE` do. */
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly help: string
  /** Tells or does what is nobody else's than root's and the agent's own user's. Every page that is no GET is. */
  readonly isOwnersOnly?: true
  /** Also on the metrics, readiness or center port. */
  readonly isPublic?: 'metrics' | 'readiness' | 'api'
  answer(request: AdminRequest): AdminReply | Promise<AdminReply>
}

export const textReply = (body: string, status = 200): AdminReply => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: body.endsWith('\n') ? body : `${body}\n`,
})

export const jsonReply = (body: unknown, status = 200): AdminReply => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(body, null, 2)}\n`,
})

/** Text for people, or with `?format=json` the same as data. */
export function either(request: AdminRequest, data: unknown, text: () => string, status = 200): AdminReply {
  return request.isJson ? jsonReply(data, status) : textReply(text(), status)
}

/** `?format=hostmesh`: what Envoy's form has no place for. */
export function isOwnForm({ query }: AdminRequest): boolean {
  return query.get('format') === 'hostmesh'
}

/** What a part answers at the admin socket for itself, beside pages: to root and the agent's own user. */
export interface SocketApi {
  serves(path: string): boolean
  /** Never rejects. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>
}

/** Columns as wide as their widest cell; paths and names of others control no terminal. */
export function columns(foreign: readonly (readonly string[])[]): string {
  const rows = foreign.map((row) => row.map(printable))
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  '))
    .join('\n')
}

/** Who asks, as far as the listener can tell. */
export interface Asker {
  /** Came in by the unix socket, which only we and root may open. */
  readonly isAtSocket: boolean
  /** User id of a local caller; undefined = of another host, or not known. */
  readonly uid: number | undefined
}

/**
 * Why a request is not answered, or undefined. Nothing that a web page could have caused; changes only from the agent's
 * own user and root, by the unix socket or by who owns the caller's end of the connection. A mutation needs JSON or no
 * body at all, which a form on a foreign page cannot send.
 */
export function refusal(
  request: IncomingMessage,
  asker: Asker,
  hostNames: ReadonlySet<string> | 'any',
): { status: number; text: string } | undefined {
  const { headers, method } = request
  const isRead = method === 'GET' || method === 'HEAD'
  // the console reads; it changes nothing here
  const isConsole = isRead && hostNames !== 'any' && isOwnPage(headers)
  const page = isConsole ? undefined : webPageRefusal(headers, asker.isAtSocket ? 'any' : hostNames)
  if (page !== undefined) return { status: 403, text: page }
  if (isRead) return undefined
  if (!isOwner(asker)) return { status: 403, text: ownersOnly(method ?? '', asker) }
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
  const type = headers['content-type']
  if ((hasBody || type !== undefined) && !/^application\/json(?:;|$)/i.test(type ?? ''))
    return { status: 415, text: `content-type "${type ?? ''}", allowed application/json, or no body` }
  return undefined
}

export function isOwner({ isAtSocket, uid }: Asker): boolean {
  return isAtSocket || uid === 0 || (uid !== undefined && uid === process.getuid?.())
}

function ownersOnly(what: string, { uid }: Asker): string {
  return `${what} is for root and the agent's own user; this caller is ${uid === undefined ? 'not known' : `user ${uid}`}`
}
