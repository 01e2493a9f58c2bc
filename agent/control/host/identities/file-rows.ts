/** Certificates of files, as `hostmesh certs` shows them beside the others. */
import { X509Certificate } from 'node:crypto'
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { WorkloadCertificates } from '../../../../contracts/workload-certificate.ts'
import { isLate, lifetimeOf } from './lifetime.ts'

export function fileRows(certificates: WorkloadCertificates, now: number): IdentityRow[] {
  return certificates.map(({ id, chain }) => {
    const lifetime = lifetimeOf(chain)
    const state = now >= lifetime.notAfter ? 'ended' : isLate(lifetime, now) ? 'late' : 'good'
    const serial = new X509Certificate(chain).serialNumber.toLowerCase()
    return { id, source: 'files', state, ...lifetime, serial, chain: blocksOf(chain) }
  })
}

/** Each with PEM of its own. */
export function blocksOf(chain: string): string[] {
  return chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? []
}
