/** What certifies keys, wherever its own key comes from: made by the center (`made-authority.ts`) or an operator's. */
import type { KeyObject } from 'node:crypto'
import type { LeafOrigin } from './x509/origin.ts'

export interface LeafWishes {
  readonly publicKey: KeyObject
  readonly uri: string
  readonly dnsNames?: readonly string[]
  readonly addresses?: readonly string[]
  /** Of a workload: for whom it is. */
  readonly origin?: LeafOrigin | undefined
  /** Longest life; a shorter one is given where the authority itself ends earlier. */
  readonly lifetimeMs: number
}

export interface IssuedLeaf {
  /** The leaf first, then its intermediates; without the root. PEM. */
  readonly chain: string
  /** Lower-case hex. */
  readonly serial: string
  /** Epoch ms. */
  readonly notAfter: number
}

export interface AuthorityView {
  readonly source: 'made' | 'files'
  readonly roots: readonly RootView[]
  /** Epoch ms: end of the certificate that signs leaves. */
  readonly issuerNotAfter: number
  readonly rotation: RotationView | undefined
}

export interface RootView {
  /** Lower-case hex sha256 of the public key (SPKI): what hosts pin. */
  readonly pin: string
  readonly notAfter: number
  /** Whether leaves are signed below it now. */
  readonly isIssuing: boolean
}

export interface RotationView {
  readonly phase: 'spreading' | 'overlapping'
  /** Epoch ms at which the next step is made. */
  readonly nextStepAt: number
}

export interface Authority {
  /** Throws E_CA_REFUSED when the authority has ended. */
  issue(wishes: LeafWishes): IssuedLeaf
  /** All roots that peers are checked against, PEM. */
  readonly trustBundle: string
  view(): AuthorityView
  /**
   * Looks whether something is due: a renewal, a step of a rotation, replaced files. Rejects when it cannot be done.
   */
  advance(): Promise<void>
  /** Begins a rotation of the root. Rejects with E_CA_REFUSED where one is under way, or the root is not ours. */
  rotate(): Promise<void>
}

/**
 * Certificates begin so much before they were asked for: clocks of hosts differ (2 min, as Istio; less of short ones).
 */
export function backdateMs(lifetimeMs: number): number {
  return Math.min(120_000, lifetimeMs / 10)
}
