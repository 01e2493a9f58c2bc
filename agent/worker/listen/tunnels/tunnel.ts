/** Tunnels: raw bytes to a name that the caller says itself, by CONNECT of HTTP/1.1 or by SOCKS5. */
import type { ErrorCode } from '../../../../contracts/errors.ts'
import type { LocalAnswer } from '../../../../http1/local-reply.ts'
import type { Transport } from '../../transport/transport.ts'

/** What a caller asked for, and how it is answered. */
export interface TunnelRequest {
  readonly kind: 'CONNECT' | 'SOCKS5'
  /** In lower case; an IPv6 literal in brackets. */
  readonly host: string
  readonly port: number
  /** Said when the endpoint is connected. */
  readonly granted: Buffer
  /** Said in its place. */
  refused(answer: LocalAnswer): Buffer
}

/** Of a connection that is one: what is told of it, and while its endpoint is not connected how to answer. */
export interface Tunnel {
  readonly kind: TunnelRequest['kind']
  /** `host:port` as the caller named it. */
  readonly target: string
  readonly port: number
  readonly opening: TunnelOpening | null
}

export interface TunnelOpening {
  readonly granted: Buffer
  /** The name leads nowhere; undefined = its routes decide. */
  readonly problem: TunnelProblem | undefined
  /** Answers and ends the connection; `onEnd` follows once, when it is closed. */
  refuse(transport: Transport, problem: TunnelProblem, onEnd: () => void): void
}

export interface TunnelProblem {
  readonly status: number
  readonly code: ErrorCode
  readonly text: string
}
