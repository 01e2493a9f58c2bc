/**
 * `/certs` as Envoy answers it, `envoy.admin.v3.Certificates`: the certificates of this host by their name, and those
 * that the agent reads by their file. No keys.
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { WorkloadCertificate } from '../../../../contracts/workload-certificate.ts'

export interface CertificateFiles {
  readonly ca: string | undefined
  readonly cert: string | undefined
}

const dayMs = 86_400_000
const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** A file that cannot be read or holds no certificate is left out: `hostmesh check` names it. */
export function envoyCerts(
  files: readonly CertificateFiles[],
  own: readonly Omit<WorkloadCertificate, 'key'>[],
  now: number,
): object {
  return {
    certificates: [
      ...own.map(({ id, chain, trustBundle }) => ({
        ca_cert: detailsIn(id, trustBundle, now),
        cert_chain: detailsIn(id, chain, now),
      })),
      ...files.map(({ ca, cert }) => ({
        ca_cert: ca === undefined ? [] : detailsOf(ca, now),
        cert_chain: cert === undefined ? [] : detailsOf(cert, now),
      })),
    ],
  }
}

function detailsOf(path: string, now: number): object[] {
  try {
    return detailsIn(path, readFileSync(path, 'utf8'), now)
  } catch {
    return []
  }
}

function detailsIn(path: string, texts: string, now: number): object[] {
  return (texts.match(pem) ?? []).map((text) => details(path, new X509Certificate(text), now))
}

function details(path: string, certificate: X509Certificate, now: number): object {
  const { serialNumber, subjectAltName, validFromDate, validToDate } = certificate
  return {
    path,
    serial_number: serialNumber.toLowerCase(),
    subject_alt_names: (subjectAltName?.split(', ') ?? []).map(nameOf),
    days_until_expiration: String(Math.max(0, Math.floor((validToDate.getTime() - now) / dayMs))),
    valid_from: validFromDate.toISOString(),
    expiration_time: validToDate.toISOString(),
  }
}

function nameOf(text: string): object {
  const [, kind, value] = /^([^:]+):(.*)$/.exec(text) ?? []
  if (kind === 'DNS') return { dns: value }
  return kind === 'IP Address' ? { ip_address: value } : { uri: value }
}
