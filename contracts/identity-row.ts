/**
 * A name of a host or of one of its applications, with the state of its certificate: a line of `/identities`. No key.
 */
export interface IdentityRow {
  readonly id: string
  readonly source: 'center' | 'spire' | 'files'
  /** `none`: there is none yet; `late`: less than a quarter of its life is left; `ended`: peers refuse it. */
  readonly state: 'good' | 'late' | 'ended' | 'none'
  /** Epoch ms. */
  readonly notBefore?: number | undefined
  readonly notAfter?: number | undefined
  /** Epoch ms; absent = this source is told when it is time. */
  readonly renewAt?: number | undefined
  /** Of the leaf, lower-case hex. */
  readonly serial?: string | undefined
  /** Certificates with PEM of their own, the leaf first. */
  readonly chain: readonly string[]
  /** Why the newest attempt failed. */
  readonly problem?: string | undefined
}
