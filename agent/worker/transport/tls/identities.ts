import { trustDomainOf } from '../../../../contracts/spiffe-id.ts'
import type {
  ClientCredential,
  WorkloadCertificate,
  WorkloadCertificates,
} from '../../../../contracts/workload-certificate.ts'

/** The certificates that this worker may use now, as control handed them over. */
export class Identities {
  private byId: ReadonlyMap<string, WorkloadCertificate> = new Map()
  private own: WorkloadCertificate | undefined
  private credentials: ReadonlyMap<string, ClientCredential> = new Map()

  replace(certificates: WorkloadCertificates): void {
    this.byId = new Map(certificates.map((one) => [one.id, one]))
    this.own = certificates[0]
  }

  replaceCredentials(credentials: readonly ClientCredential[]): void {
    this.credentials = new Map(credentials.map((one) => [one.name, one]))
  }

  /** Undefined where there is none of this name: never another one instead. */
  credential(name: string): ClientCredential | undefined {
    return this.credentials.get(name)
  }

  /** Of the host's own. */
  get trustDomain(): string | undefined {
    return this.own === undefined ? undefined : trustDomainOf(this.own.id)
  }

  /** Of this id; undefined names the host's own. Answers undefined where there is none: never another one instead. */
  find(id: string | undefined): WorkloadCertificate | undefined {
    return id === undefined ? this.own : this.byId.get(id)
  }
}
