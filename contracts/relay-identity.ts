/**
 * The identity under which the watchdog of a host calls a center, and a center itself (a drill): `relay-identity.json`,
 * written 0600 by control before any failure, beside `relay-targets.json` and in the same form. Body: the host's own
 * certificate with its key, or null where there is none or none is wanted.
 */
import { createHash } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { centerId } from './ca-api.ts'
import { spiffeIdIn, trustDomainOf } from './spiffe-id.ts'
import { rawTlsProtocols } from './words.ts'
import type { WorkloadCertificate } from './workload-certificate.ts'

export const relayIdentityFormat = 1

/** A chain, a key and a bundle; more than any of them needs. */
export const maxRelayIdentityBytes = 524_288

/** Throws an Error that says what is wrong, without a byte of the key. */
export function readRelayIdentity(text: string): WorkloadCertificate {
  const file = parse(text)
  if (file.format !== relayIdentityFormat)
    throw new Error(`format ${String(file.format)}, known ${relayIdentityFormat}`)
  if (createHash('sha256').update(JSON.stringify(file.body)).digest('hex') !== file.checksum)
    throw new Error('checksum does not match; the file is damaged')
  const body = file.body as Partial<WorkloadCertificate> | null
  if (body === null) throw new Error('this host has no certificate (yet)')
  const { chain, id, key, notAfter, trustBundle } = body
  if (
    typeof id !== 'string' ||
    typeof chain !== 'string' ||
    typeof key !== 'string' ||
    typeof trustBundle !== 'string' ||
    typeof notAfter !== 'number'
  )
    throw new Error('a field is missing or of the wrong type')
  return { id, chain, key, trustBundle, notAfter }
}

/** What a parser says of a text quotes it: nothing of it is passed on. */
function parse(text: string): { format?: unknown; checksum?: unknown; body?: unknown } {
  try {
    return JSON.parse(text) as object
  } catch {
    throw new Error('not JSON; the file is damaged')
  }
}

/**
 * Mutual TLS with a center: it must be `spiffe://TRUST-DOMAIN/center` by the roots of the caller; its host name does
 * not matter.
 */
export function towardsCenter({ chain, id, key, trustBundle }: WorkloadCertificate): ConnectionOptions {
  const expected = centerId(trustDomainOf(id))
  return {
    cert: chain,
    key,
    ca: trustBundle,
    minVersion: 'TLSv1.3',
    servername: '',
    ALPNProtocols: [rawTlsProtocols[0]!],
    checkServerIdentity: (_name, { subjectaltname }) =>
      spiffeIdIn(subjectaltname) === expected
        ? undefined
        : new Error(`the certificate is of ${String(subjectaltname).slice(0, 200)}, not of ${expected}`),
  }
}
