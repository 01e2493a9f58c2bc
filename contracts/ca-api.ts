import { spiffeScheme } from './spiffe-id.ts'

/**
 * What hosts and the authority of a center say to each other: JSON over HTTPS, TLS 1.3. The server proves that it is
 * `spiffe://TRUST-DOMAIN/center`, the host shows its certificate except where it joins.
 *
 *     GET  /ca/v1/bundle        -> CaBundle
 *     POST /ca/v1/join          CaJoin -> CaIssued
 *     POST /ca/v1/certificates  CaRequest -> CaIssued, with the certificate of the host
 *
 * A refusal is 403 with `CaProblem`, what is not understood 400, an authority that cannot answer now 503.
 */
export const caPaths = {
  bundle: '/ca/v1/bundle',
  join: '/ca/v1/join',
  certificates: '/ca/v1/certificates',
} as const

export interface CaBundle {
  readonly trustDomain: string
  /** All roots, PEM. */
  readonly trustBundle: string
}

export interface CaJoin {
  /** `hostmesh.ID.SECRET.PIN` */
  readonly token: string
  readonly host: string
  /** PKCS #10, PEM. */
  readonly request: string
}

export interface CaRequest {
  /** PKCS #10, PEM; its one URI is the name that is asked for. */
  readonly request: string
}

export interface CaIssued extends CaBundle {
  readonly id: string
  /** The leaf first, then its intermediates; without the root. PEM. */
  readonly chain: string
  /** Epoch ms. */
  readonly notAfter: number
}

export interface CaProblem {
  readonly code: string
  readonly error: string
}

/** Longest body on either side: a signing request of 16 KiB, or a chain with a bundle. */
export const maxCaBodyBytes = 262_144

export function centerId(trustDomain: string): string {
  return `${spiffeScheme}${trustDomain}/center`
}
