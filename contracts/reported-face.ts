/** The Nacos face in the report of a host: what a center has to know to stand in for it (`contracts/host-face.ts`). */
export interface ReportedFace {
  /** Addresses of the host's interfaces: clients may announce these, and loopback. */
  readonly addresses: readonly string[]
  readonly hostNames: readonly string[]
  /** User ids that may announce what they like. */
  readonly trusted: readonly number[]
  readonly grants: readonly ReportedGrant[]
  /** Services that somebody has by the operator's word. */
  readonly held: readonly HeldService[]
}

export interface ReportedGrant {
  readonly user: number
  readonly services: readonly string[]
  readonly maxWeight: number
  readonly ports: readonly { readonly first: number; readonly last: number }[]
}

export interface HeldService {
  readonly service: string
  /** -1 = nobody was named: it is whoever is at this address. */
  readonly user: number
  readonly address: string
  readonly port: number
}

export const reportedFaceBounds = {
  addresses: 64,
  hostNames: 16,
  trusted: 8,
  grants: 256,
  held: 500,
  bytes: 65_536,
} as const
