/** Where the certificates of a host come from: a center's authority (`center-source.ts`), SPIRE (`spire-source.ts`). */
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { WorkloadCertificates } from '../../../../contracts/workload-certificate.ts'

export interface IdentitySource {
  /** The names that applications of this host need now. A source that decides by itself takes no notice. */
  want(ids: readonly string[]): void
  /** Only the leading generation asks for certificates and writes them down. */
  setLeading(isLeading: boolean): void
  /** Undefined: not known yet (the host has not joined). */
  readonly trustDomain: string | undefined
  view(): readonly IdentityRow[]
  close(): void
}

export type OnCertificates = (certificates: WorkloadCertificates) => void
