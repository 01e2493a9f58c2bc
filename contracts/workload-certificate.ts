/**
 * What proves who a workload is: control collects these from their sources and hands the whole set to its workers, at
 * the start and whenever something changed. Holds private keys: it lives in memory and on the 0600 socket between
 * control and workers, and is part of no snapshot, dump or log line.
 */

/** An X.509 SVID with its key. All texts are PEM. */
export interface WorkloadCertificate {
  /** The one SPIFFE id of the leaf: `spiffe://trust-domain/ns/NAMESPACE/sa/ACCOUNT`. */
  readonly id: string
  /** The leaf first, then its intermediates; without the root. */
  readonly chain: string
  /** PKCS#8 or SEC 1, not encrypted. */
  readonly key: string
  /** Roots that certificates of peers are checked against. */
  readonly trustBundle: string
  /** End of the leaf's validity, epoch ms. */
  readonly notAfter: number
}

/**
 * Every identity that this host may use, each once by its id. The first is the host's own: it serves where nothing
 * names another one. Empty = this host takes part in no mutual TLS.
 */
export type WorkloadCertificates = readonly WorkloadCertificate[]

/**
 * What this host shows to servers that are not of the mesh, by the name that rules use for it. All texts are PEM.
 * Travels as the certificates do.
 */
export interface ClientCredential {
  readonly name: string
  /** The leaf first; absent = it holds roots alone. */
  readonly chain?: string
  /** Where there is a chain. */
  readonly key?: string
  /** That servers are checked against; absent = those of the system. */
  readonly roots?: string | undefined
}
