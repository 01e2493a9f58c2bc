/** What `/mtls` says of the inbound ports, and `hostmesh mtls plan` reads. */
import type { InboundMtls } from './snapshot.ts'

export interface PlainCaller {
  /** Its address; `other` beyond those that are told apart. */
  readonly caller: string
  readonly connections: number
}

/** An inbound port. Connections are counted since the agent began, over hot restarts. */
export interface MtlsPort {
  readonly listener: string
  readonly service: string
  /** `address:port` */
  readonly address: string
  /** `plain`: no TLS, for want of a certificate or by DISABLE; its callers are not counted. */
  readonly mode: InboundMtls | 'plain'
  /** Connections in mutual TLS. */
  readonly mutual: number
  /** Who came in plain, the most connections first. */
  readonly plain: readonly PlainCaller[]
}
