/** CONNECT of HTTP/1.1 (RFC 9110 section 9.3.6), read by the reader of every other request (decision 0017). */
import { httpFault } from '../../../../http1/fault.ts'
import { Head } from '../../../../http1/head.ts'
import { LocalReplies } from '../../../../http1/local-reply.ts'
import type { LocalAnswer } from '../../../../http1/local-reply.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import type { StringCache } from '../../../../http1/string-cache.ts'
import { BodyKind } from '../../../../http1/types.ts'
import type { HeadLimits } from '../../../../http1/types.ts'
import type { Tier } from '../../../../contracts/words.ts'
import { splitAuthority } from '../../route/authority.ts'
import type { TunnelProblem, TunnelRequest } from './tunnel.ts'

export const connectWord: Buffer = Buffer.from('CONNECT ', 'latin1')

const granted = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n', 'latin1')
const usualFields = 16

export type ConnectStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'bad'; readonly problem: TunnelProblem }
  | { readonly kind: 'request'; readonly length: number; readonly request: TunnelRequest }

const more: ConnectStep = { kind: 'more' }

/** One head, with more of its bytes at each look. */
export class ConnectRequest {
  private readonly head: Head
  private readonly limits: HeadLimits
  private readonly tier: Tier

  constructor(strings: StringCache, limits: HeadLimits, tier: Tier) {
    this.head = new Head(strings, usualFields)
    this.head.takesConnect = true
    this.limits = limits
    this.tier = tier
  }

  look(bytes: Buffer): ConnectStep {
    const { head, limits } = this
    const length = readRequest(head, bytes, 0, bytes.length, limits)
    if (length === 0) return more
    if (length < 0) {
      const { code, reason, status } = httpFault(length)
      return { kind: 'bad', problem: { status, code, text: reason } }
    }
    const target = bytes.toString('latin1', head.targetStart, head.targetEnd).toLowerCase()
    const [host, port] = splitAuthority(target)
    if (head.body !== BodyKind.none) return bad('CONNECT with content')
    if (port === undefined || Number(port) === 0) return bad('CONNECT without a port')
    return {
      kind: 'request',
      length,
      request: { kind: 'CONNECT', host, port: Number(port), granted, refused: this.refused },
    }
  }

  readonly refused = (answer: LocalAnswer): Buffer => new LocalReplies(this.tier).format(answer, null, false, true, 1)
}

function bad(text: string): ConnectStep {
  return { kind: 'bad', problem: { status: 400, code: 'E_HTTP_BAD_REQUEST', text } }
}
