import type {
  ClientCredential,
  WorkloadCertificate,
  WorkloadCertificates,
} from '../../../contracts/workload-certificate.ts'

import type { ControlMetrics } from '../observe.ts'

export interface CertificateStoreDeps {
  readonly metrics: ControlMetrics
  /** The set is another one now. */
  readonly onChange: () => void
}

/**
 * The certificates of this host from all their sources. A source replaces what it said before as a whole; of two with
 * the same id the source that spoke first counts. What is in here leaves control only towards its workers.
 */
export class CertificateStore {
  private readonly deps: CertificateStoreDeps
  private readonly sources = new Map<string, WorkloadCertificates>()
  private present: WorkloadCertificates = []
  private shown: readonly ClientCredential[] = []

  constructor(deps: CertificateStoreDeps) {
    this.deps = deps
  }

  /** The first is the host's own. */
  all(): WorkloadCertificates {
    return this.present
  }

  /** For servers that are not of the mesh. */
  get credentials(): readonly ClientCredential[] {
    return this.shown
  }

  replaceCredentials(credentials: readonly ClientCredential[]): void {
    this.shown = credentials
    this.deps.onChange()
  }

  /** Nothing happens when everything is as it was. */
  replaceSource(source: string, certificates: WorkloadCertificates): void {
    this.sources.set(source, certificates)
    const byId = new Map<string, WorkloadCertificate>()
    for (const one of [...this.sources.values()].flat()) if (!byId.has(one.id)) byId.set(one.id, one)
    const merged = [...byId.values()]
    if (merged.length === this.present.length && merged.every((one, at) => isSame(one, this.present[at]!))) return
    this.present = merged
    const { metrics, onChange } = this.deps
    metrics.clear('certificate_not_after_seconds')
    for (const { id, notAfter } of merged)
      metrics.gauge('certificate_not_after_seconds', { identity: id }, Math.round(notAfter / 1000))
    onChange()
  }
}

function isSame(one: WorkloadCertificate, other: WorkloadCertificate): boolean {
  return (
    one.id === other.id && one.chain === other.chain && one.key === other.key && one.trustBundle === other.trustBundle
  )
}
