/** `ca` in `center.yaml`: the certificate authority of the mesh. */
import * as z from 'zod'
import { duration, hostDomain, leaf, listenAddress, path, trustDomain } from '../../agent/control/config/scalars.ts'
import type { Report } from '../../agent/control/config/node-kind.ts'
import { reportFile } from '../../agent/control/config/readable-file.ts'
import { isHostPattern, isIdentityPattern } from './grants.ts'

export const hostPattern = () =>
  leaf('a name of a host, or its beginning and *', (value) =>
    typeof value === 'string' && isHostPattern(value) ? value : undefined,
  )

const identityPattern = () =>
  leaf('ns/NAMESPACE/sa/ACCOUNT, each of the two a name, or its beginning and *', (value) =>
    typeof value === 'string' && isIdentityPattern(value) ? value : undefined,
  )

export const caSection = z.strictObject({
  address: listenAddress()
    .prefault('0.0.0.0:15012')
    .describe("Where hosts join and renew their certificates, and where Istio's agents ask: HTTPS."),
  trustDomain: trustDomain()
    .prefault('cluster.local')
    .describe('First part of every name, `spiffe://cluster.local/…`. It is not changed in place.'),
  names: z
    .array(hostDomain())
    .max(32)
    .prefault([])
    .describe('Names of the centers on the certificate of that port, for clients that go by names; hosts do not.'),
  leafLifetime: duration('10s', '30d').prefault('24h').describe('Life of the certificate of an application.'),
  hostLifetime: duration('10s', '90d')
    .prefault('7d')
    .describe('Life of the certificate of a host; one whose agent was down for longer must join again.'),
  rootLifetime: duration('1d', '9000d').prefault('3650d').describe('Life of a root that the center makes.'),
  rotationSpread: duration('1s', '90d')
    .prefault('24h')
    .describe(
      "So long is a new root in the bundle before it signs: every host reads the bundle meanwhile. The old one leaves it after two lives of an application's certificate, or one of a host's, whichever is longer.",
    ),
  keyFile: path()
    .optional()
    .describe(
      'File with at least 32 characters that seals the keys of the authority, such as `openssl rand -hex 32` makes; absent = they lie in the state directory as they are, mode 0600. Required, and the same for all centers, where they share a `store`.',
    ),
  intermediate: z
    .strictObject({
      certificate: path().describe('Certificate that signs, then those between it and the root, PEM.'),
      key: path().describe('Its key, PEM, readable by the center only.'),
      roots: path().describe('Roots that peers are checked against, PEM.'),
    })
    .optional()
    .describe("An operator's own authority, read again when its files change; absent = the center makes one."),
  grants: z
    .array(
      z.strictObject({
        hosts: z.array(hostPattern()).min(1).max(1000).describe('Hosts that this is about.'),
        identities: z.array(identityPattern()).min(1).max(1000).describe('What their applications may be.'),
      }),
    )
    .max(1000)
    .prefault([])
    .describe('Which host may ask for which application, beside what its token granted. Nothing else is granted.'),
})

export type CaSection = z.output<typeof caSection>

/** Its files with absolute paths. */
export function locatedCa(section: CaSection, absolute: (path: string) => string): CaSection {
  const { keyFile, intermediate } = section
  return {
    ...section,
    ...(keyFile === undefined ? {} : { keyFile: absolute(keyFile) }),
    ...(intermediate === undefined
      ? {}
      : {
          intermediate: {
            certificate: absolute(intermediate.certificate),
            key: absolute(intermediate.key),
            roots: absolute(intermediate.roots),
          },
        }),
  }
}

/** `isShared`: its documents lie in a store beyond this machine. */
export function caProblems(
  { keyFile, intermediate, leafLifetime, hostLifetime }: CaSection,
  isShared: boolean,
  report: Report,
): void {
  if (isShared && keyFile === undefined && intermediate === undefined)
    report(['ca', 'keyFile'], 'missing; the store that centers share would hold the keys of the authority in clear')
  const files = { ...intermediate, ...(keyFile === undefined ? {} : { keyFile }) }
  for (const [key, file] of Object.entries(files)) {
    const path = key === 'keyFile' ? ['ca', key] : ['ca', 'intermediate', key]
    reportFile(report, path, file, /key/i.test(key))
  }
  if (keyFile !== undefined && intermediate !== undefined)
    report(['ca', 'keyFile'], 'seals keys that the center makes; with ca.intermediate it makes none')
  if (hostLifetime < leafLifetime)
    report(['ca', 'hostLifetime'], 'is shorter than ca.leafLifetime: hosts would have to join again', 'warning')
}
