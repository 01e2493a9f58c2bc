/**
 * As much of HTTP/1.1 as the relay needs: the end of a head, the service that a request names, and one request per connection. Everything else, and every
 * judgement about the message, is left to whoever is at the other end.
 */
import { headers } from '../../contracts/words.ts'
import type { NamedService } from './candidates.ts'

export type HeadState =
  { readonly kind: 'more' } | { readonly kind: 'head'; readonly end: number } | { readonly kind: 'too-large' }

export function findHead(bytes: Buffer, maxBytes: number): HeadState {
  const end = bytes.indexOf('\r\n\r\n')
  if (end >= 0 && end + 4 <= maxBytes) return { kind: 'head', end: end + 4 }
  return end >= 0 || bytes.length >= maxBytes ? { kind: 'too-large' } : { kind: 'more' }
}

export interface RequestHead {
  /** Ready to send: with `Connection: close`, unless the request asks for an upgrade. */
  readonly bytes: Buffer
  readonly named: NamedService
  readonly isUpgrade: boolean
  /** A safe method (RFC 9110, section 9.2.1) without content: it may be sent again elsewhere. */
  readonly isRepeatable: boolean
}

/** undefined when the first line is not a request of HTTP/1. */
export function readRequest(head: Buffer): RequestHead | undefined {
  const { first, fields } = split(head)
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]$/.exec(first)
  if (match === null) return undefined
  const isUpgrade =
    valueOf(fields, 'upgrade') !== undefined && (valueOf(fields, 'connection') ?? '').toLowerCase().includes('upgrade')
  const authority = /^https?:\/\/([^/?#]+)/i.exec(match[2]!)?.[1] ?? valueOf(fields, 'host')
  const named: NamedService = {
    service: valueOf(fields, headers.service),
    host: authority?.toLowerCase().replace(/:[0-9]*$/, ''),
    fallback: valueOf(fields, headers.fallback),
  }
  if (isUpgrade) return { bytes: head, named, isUpgrade, isRepeatable: false }
  const hasContent =
    valueOf(fields, 'transfer-encoding') !== undefined || (valueOf(fields, 'content-length') ?? '0') !== '0'
  return {
    bytes: join(first, without(fields, ['connection', 'keep-alive', 'proxy-connection']), ['connection: close']),
    named,
    isUpgrade,
    isRepeatable: !hasContent && (match[1] === 'GET' || match[1] === 'HEAD' || match[1] === 'OPTIONS'),
  }
}

export interface ResponseHead {
  readonly bytes: Buffer
  /** 1xx: another head follows. */
  readonly isInterim: boolean
  readonly isUpgrade: boolean
}

/** undefined when it is not a response of HTTP/1. */
export function readResponse(head: Buffer, tier: 'center' | 'direct'): ResponseHead | undefined {
  const { first, fields } = split(head)
  const match = /^HTTP\/1\.[01] ([0-9]{3})( |$)/.exec(first)
  if (match === null) return undefined
  const status = Number(match[1])
  if (status === 101) return { bytes: head, isInterim: false, isUpgrade: true }
  if (status < 200) return { bytes: head, isInterim: true, isUpgrade: false }
  const kept = without(fields, ['connection', 'keep-alive', headers.tier])
  return {
    bytes: join(first, kept, ['connection: close', `${headers.tier}: ${tier}`]),
    isInterim: false,
    isUpgrade: false,
  }
}

/** An answer of the relay itself. */
export function ownAnswer(status: 400 | 408 | 431 | 502 | 503 | 504, code: string, text: string): Buffer {
  const reason = {
    400: 'Bad Request',
    408: 'Request Timeout',
    431: 'Request Header Fields Too Large',
    502: 'Bad Gateway',
    503: 'Service Unavailable',
    504: 'Gateway Timeout',
  }[status]
  const body = `${code}  ${text}\n`
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `${headers.error}: ${code}`,
    'connection: close',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'utf8')
}

function split(head: Buffer): { readonly first: string; readonly fields: readonly string[] } {
  // latin1 keeps every byte, so that what is joined again is what came.
  const [first = '', ...fields] = head.toString('latin1', 0, head.length - 4).split('\r\n')
  return { first, fields }
}

function nameOf(field: string): string {
  return field.slice(0, Math.max(0, field.indexOf(':'))).toLowerCase()
}

function valueOf(fields: readonly string[], name: string): string | undefined {
  const field = fields.find((candidate) => nameOf(candidate) === name)
  return field?.slice(field.indexOf(':') + 1).trim()
}

function without(fields: readonly string[], names: readonly string[]): string[] {
  return fields.filter((field) => !names.includes(nameOf(field)))
}

function join(first: string, fields: readonly string[], added: readonly string[]): Buffer {
  return Buffer.from(`${[first, ...fields, ...added].join('\r\n')}\r\n\r\n`, 'latin1')
}
