/** What an admin page is given and what it answers; and the guard in front of all pages. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

export interface AdminRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
  readonly isJson: boolean
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

/** Columns as wide as their widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  '))
    .join('\n')
}

/**
 * Why a request is not answered, or undefined. A browser that was led here by a foreign page betrays itself: by a Host that is a name (DNS rebinding), by an Origin, or by `Sec-Fetch-Site`.
 * A mutation needs JSON or no body at all, which a form on a foreign page cannot send. `isLocal` is true on the unix socket, where only we and root come in.
 */
export function refusal(request: IncomingMessage, isLocal: boolean): { status: number; text: string } | undefined {
  const { headers, method } = request
  if (headers.origin !== undefined || isCrossSite(headers['sec-fetch-site']))
    return { status: 403, text: 'requests of web pages are not answered here' }
  if (!isLocal && !isLiteralHost(headers.host))
    return {
      status: 403,
      text: `host "${headers.host ?? ''}" is no address; use the address itself, names can be rebound`,
    }
  if (method === 'GET' || method === 'HEAD') return undefined
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
  const type = headers['content-type']
  if ((hasBody || type !== undefined) && !/^application\/json(?:;|$)/i.test(type ?? ''))
    return { status: 415, text: `content-type "${type ?? ''}", allowed application/json, or no body` }
  return undefined
}

function isCrossSite(site: string | string[] | undefined): boolean {
  return site !== undefined && site !== 'none'
}

/** `127.0.0.1:15000`, `[::1]:15000`, `localhost`: what cannot be rebound. */
function isLiteralHost(host: string | undefined): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host ?? '')
  const name = match?.[1] ?? match?.[2]
  return name !== undefined && (isIP(name) > 0 || name.toLowerCase() === 'localhost')
}
