/** Identities from PEM files, read again when they change: the first source of certificates. */
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { spiffeIdIn } from '../../../contracts/spiffe-id.ts'
import type { WorkloadCertificate, WorkloadCertificates } from '../../../contracts/workload-certificate.ts'
import { every } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { fileStamp } from '../kinds/file-stamp.ts'
import { readText } from '../kinds/secret-file.ts'
import type { Log } from '../log.ts'
import { certificatesIn, invalid, requireKeyOf, requirePrivate } from './pem.ts'

/** Absolute paths of PEM files. */
export interface IdentityFiles {
  readonly certificate: string
  readonly key: string
  readonly trustBundle: string
}

/** Files are looked at this often, ms. */
const lookMs = 2000

export interface CertificateFilesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AdapterMetrics
  readonly onCertificates: (certificates: WorkloadCertificates) => void
}

/** What one identity's files hold now. */
interface Kept {
  readonly files: IdentityFiles
  stamp: string
  certificate: WorkloadCertificate | undefined
  /** Why the files as they are now are not in use. */
  problem: string | undefined
}

/**
 * A file that cannot be used (half replaced, the key of another certificate) leaves what was read before in use, is
 * said once per state of the files, and counted.
 */
export class CertificateFiles {
  private readonly deps: CertificateFilesDeps
  private kept: Kept[] = []
  private readonly cancel: () => void

  constructor(deps: CertificateFilesDeps) {
    this.deps = deps
    this.cancel = every(deps.clock, lookMs, () => this.look())
  }

  configure(identities: readonly IdentityFiles[]): void {
    const before = this.kept
    this.kept = identities.map(
      (files) =>
        before.find((one) => stampedFiles(one.files).join() === stampedFiles(files).join()) ?? {
          files,
          stamp: '',
          certificate: undefined,
          problem: undefined,
        },
    )
    this.look(before.length !== this.kept.length)
  }

  close(): void {
    this.cancel()
  }

  /** Of files that are not in use as they are now. */
  problems(): string[] {
    return this.kept.flatMap(({ problem }) => problem ?? [])
  }

  private look(isChanged = false): void {
    let hasNews = isChanged
    for (const one of this.kept) {
      const stamp = stampOf(one.files)
      if (stamp === one.stamp) continue
      hasNews = true
      one.stamp = stamp
      this.read(one)
    }
    if (hasNews) this.deps.onCertificates(this.kept.flatMap(({ certificate }) => certificate ?? []))
  }

  private read(one: Kept): void {
    const { clock, log, metrics } = this.deps
    try {
      const found = readIdentity(one.files)
      one.certificate = found
      one.problem = undefined
      log.info({ identity: found.id, notAfter: new Date(found.notAfter).toISOString() }, `certificate of ${found.id}`)
      if (found.notAfter < clock.wall())
        log.error({ code: 'E_CERTIFICATE_INVALID' }, `${one.files.certificate}: has expired; peers refuse it`)
    } catch (error) {
      metrics.count('certificate_refusals', {})
      const rest = one.certificate === undefined ? 'there is none of it' : 'the one read before stays in use'
      one.problem = `${describeError(error)}; ${rest}`
      log.error({ code: 'E_CERTIFICATE_INVALID' }, one.problem)
    }
  }
}

/** Throws E_CONFIG_UNREADABLE and E_CERTIFICATE_INVALID; both name the file, and neither says anything of the key. */
export function readIdentity(files: IdentityFiles): WorkloadCertificate {
  const [chain, key, trustBundle] = [files.certificate, files.key, files.trustBundle].map(readText) as [
    string,
    string,
    string,
  ]
  certificatesIn(trustBundle, files.trustBundle)
  const [leaf] = certificatesIn(chain, files.certificate)
  const id = spiffeIdIn(leaf.subjectAltName)
  if (id === undefined)
    throw invalid(files.certificate, `found the names ${String(leaf.subjectAltName)}, allowed one URI, spiffe://…`)
  requireKeyOf(leaf, files.certificate, key, files.key)
  requirePrivate(files.key)
  return { id, chain, key, trustBundle, notAfter: Date.parse(leaf.validTo) }
}

function stampedFiles({ certificate, key, trustBundle }: IdentityFiles): string[] {
  return [certificate, key, trustBundle]
}

function stampOf(files: IdentityFiles): string {
  return stampedFiles(files).map(fileStamp).join(', ')
}
