import { createSecureContext } from 'node:tls'
import type { SecureContext } from 'node:tls'

import type { ClientCredential, WorkloadCertificate } from '../../../../contracts/workload-certificate.ts'
import { suiteNames } from './suites.ts'

/** Key exchange without the large shares of post-quantum groups: a hello fits one packet. */
const groups = 'X25519:P-256:P-384'
const common = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: suiteNames.join(':'),
  ecdhCurve: groups,
  honorCipherOrder: true,
} as const

/** One context per certificate and per credential, made at its first handshake and gone with them. */
export class Contexts {
  private readonly mutual = new WeakMap<WorkloadCertificate, SecureContext>()
  private readonly simple = new WeakMap<ClientCredential, SecureContext>()
  private system: SecureContext | undefined

  /** Throws what OpenSSL says about them. */
  mutualOf(certificate: WorkloadCertificate): SecureContext {
    let context = this.mutual.get(certificate)
    if (context === undefined) {
      const { chain, key, trustBundle } = certificate
      context = createSecureContext({ ...common, cert: chain, key, ca: trustBundle })
      this.mutual.set(certificate, context)
    }
    return context
  }

  /** For servers that are not of the mesh; undefined = by the roots of the system, and nothing is shown. */
  simpleOf(credential: ClientCredential | undefined): SecureContext {
    if (credential === undefined) return (this.system ??= createSecureContext(common))
    let context = this.simple.get(credential)
    if (context === undefined) {
      const { chain, key, roots } = credential
      const shown = chain === undefined || key === undefined ? {} : { cert: chain, key }
      context = createSecureContext({ ...common, ...shown, ...(roots === undefined ? {} : { ca: roots }) })
      this.simple.set(credential, context)
    }
    return context
  }
}
