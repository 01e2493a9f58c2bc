import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import { spiffeIdIn } from '../../../../contracts/spiffe-id.ts'
import { noIdentity } from '../transport.ts'
import type { EnginePeer } from './engine.ts'
import type { AlertName } from './words.ts'

/** `reason` is a word for metrics and logs. */
export type Verdict =
  | { readonly kind: 'good'; readonly identity: PeerIdentity }
  | { readonly kind: 'refused'; readonly alert: AlertName; readonly reason: string }

/** Who a peer is, by its certificate, and whether that will do. */
export type PeerCheck = (peer: EnginePeer) => Verdict

const untrusted: Verdict = { kind: 'refused', alert: 'unknown_ca', reason: 'unknown_authority' }
const problems: Readonly<Record<string, Verdict>> = {
  none: { kind: 'refused', alert: 'certificate_required', reason: 'no_certificate' },
  CERT_HAS_EXPIRED: { kind: 'refused', alert: 'certificate_expired', reason: 'expired' },
  CERT_NOT_YET_VALID: { kind: 'refused', alert: 'bad_certificate', reason: 'not_yet_valid' },
  CERT_REVOKED: { kind: 'refused', alert: 'certificate_revoked', reason: 'revoked' },
  INVALID_PURPOSE: { kind: 'refused', alert: 'unsupported_certificate', reason: 'wrong_purpose' },
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  INVALID_CA: untrusted,
  CERT_UNTRUSTED: untrusted,
}
const bad: Verdict = { kind: 'refused', alert: 'bad_certificate', reason: 'bad_certificate' }
const wrongId: Verdict = { kind: 'refused', alert: 'access_denied', reason: 'wrong_identity' }

function problemOf({ problem }: EnginePeer): Verdict | undefined {
  if (problem === '') return undefined
  return Object.hasOwn(problems, problem) ? problems[problem] : bad
}

/** A certificate of our roots with a SPIFFE id; one of `allowed`, where that is not empty (a `*` at its end is any). */
export function spiffeCheck(allowed: readonly string[]): PeerCheck {
  return (peer) => {
    const problem = problemOf(peer)
    if (problem !== undefined) return problem
    const id = spiffeIdIn(peer.subjectAltName)
    if (id === undefined || (allowed.length > 0 && !allowed.some((one) => matches(one, id)))) return wrongId
    return { kind: 'good', identity: { kind: 'spiffe', id } }
  }
}

/** A server with one of these names, or for this host name where there are none; '' = whoever our roots vouch for. */
export function serverCheck(allowed: readonly string[], hostName: string): PeerCheck {
  return (peer) => {
    const problem = problemOf(peer)
    if (problem !== undefined) return problem
    const id = spiffeIdIn(peer.subjectAltName)
    const isNamed =
      allowed.length > 0
        ? allowed.some((one) => (one.includes('://') ? id !== undefined && matches(one, id) : peer.isFor(one)))
        : hostName === '' || peer.isFor(hostName)
    if (!isNamed) return wrongId
    return { kind: 'good', identity: id === undefined ? noIdentity : { kind: 'spiffe', id } }
  }
}

/** It showed nothing, and nothing was asked for. */
export const anyCaller: PeerCheck = () => ({ kind: 'good', identity: noIdentity })

/**
 * A caller that is not of the mesh, with one of these names; none = whoever our roots vouch for. What its certificate
 * says of an identity is that of another mesh, if any, and no identity here.
 */
export function callerCheck(allowed: readonly string[]): PeerCheck {
  const check = serverCheck(allowed, '')
  return (peer) => {
    const verdict = check(peer)
    return verdict.kind === 'good' ? { kind: 'good', identity: noIdentity } : verdict
  }
}

function matches(pattern: string, id: string): boolean {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : id === pattern
}
