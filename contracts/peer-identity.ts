/**
 * Who is at the other end of a connection: nobody knows; a user of this host, by the kernel's word; a workload, by its
 * certificate.
 */
export type PeerIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'user'; readonly uid: number }
  /** `spiffe://trust-domain/path` */
  | { readonly kind: 'spiffe'; readonly id: string }

/** What a certificate says; '' = there was none. */
export function provedId(identity: PeerIdentity): string {
  return identity.kind === 'spiffe' ? identity.id : ''
}
