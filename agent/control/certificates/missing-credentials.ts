import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import type { ClientCredential } from '../../../contracts/workload-certificate.ts'

/** Ports of gateways whose callers are refused, because what they have to be shown is not there. Each once. */
export function missingCredentials(
  listeners: Iterable<ListenerSpec>,
  credentials: readonly ClientCredential[],
): string[] {
  const byName = new Map(credentials.map((one) => [one.name, one]))
  const found = new Set<string>()
  for (const listener of listeners) {
    if (listener.kind !== 'gateway') continue
    for (const { tls } of listener.servers) {
      if (tls === undefined || !('credential' in tls)) continue
      const { chain, roots } = byName.get(tls.credential) ?? {}
      const file = chain === undefined ? 'tls.crt' : 'ca.crt'
      if (chain === undefined || (tls.mode === 'mutual' && roots === undefined))
        found.add(
          `E_CERTIFICATE_INVALID  ${listener.name}: there is no ${tls.credential}/${file} below tls.credentialsDir that can be used; callers are refused`,
        )
    }
  }
  return [...found]
}
