/** The authority of a center for its other parts: it issues to whom they know, by the admission of its own port. */
import type { KeyObject, X509Certificate } from 'node:crypto'
import { MeshError } from '../../contracts/errors.ts'
import type { Issued, CertificateService } from './certificate-service.ts'
import type { Asker } from './grants.ts'

export interface WorkloadIssuer {
  readonly trustDomain: string
  /** PEM; undefined = the authority is not open. */
  readonly trustBundle: string | undefined
  /** Who shows a certificate that TLS has checked. Throws E_CA_REFUSED for one of nobody, or of somebody denied. */
  askerOf(certificate: X509Certificate): Asker
  /** `from`: for the log. Rejects with E_CA_REFUSED, also while the authority is not open. */
  issue(asker: Asker, from: string, id: string, publicKey: KeyObject): Promise<Issued>
  /** Calls when the authority opened, or its bundle is another one. */
  watch(onChange: () => void): () => void
}

export class PartIssuer implements WorkloadIssuer {
  readonly trustDomain: string
  private readonly watchers = new Set<() => void>()
  private service: CertificateService | undefined
  private told: string | undefined

  constructor(trustDomain: string) {
    this.trustDomain = trustDomain
  }

  get trustBundle(): string | undefined {
    return this.service?.trustBundle
  }

  askerOf(certificate: X509Certificate): Asker {
    return this.open().askerOf(certificate)
  }

  async issue(asker: Asker, from: string, id: string, publicKey: KeyObject): Promise<Issued> {
    return this.open().issueTo(asker, from, id, publicKey)
  }

  watch(onChange: () => void): () => void {
    this.watchers.add(onChange)
    return () => void this.watchers.delete(onChange)
  }

  /** What answers from now on; undefined = the authority is closed. Also to be told when the bundle may be another. */
  take(service: CertificateService | undefined): void {
    this.service = service
    const bundle = this.trustBundle
    if (bundle === this.told) return
    this.told = bundle
    for (const onChange of this.watchers) onChange()
  }

  private open(): CertificateService {
    if (this.service === undefined)
      throw new MeshError('E_CA_REFUSED', 'the authority of this center is not open; its log and /ready say why')
    return this.service
  }
}
