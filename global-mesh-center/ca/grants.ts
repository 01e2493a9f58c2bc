/**
 * Which identities a host may ask for. Nothing that nobody granted: by the token that the host joined with, or by the
 * list in the configuration of the center.
 */
import type { LeafOrigin } from './x509/origin.ts'
import { hostId, parseSpiffeId, spiffeScheme, type SpiffeId } from '../../contracts/spiffe-id.ts'

/** `ns/NAMESPACE/sa/ACCOUNT`; each of the two may end in `*`, which stands for any rest. */
export interface Grant {
  /** Names of hosts, each may end in `*`. */
  readonly hosts: readonly string[]
  readonly identities: readonly string[]
}

/** Who asks, as its certificate or its token says. */
export type Asker = (
  | { readonly kind: 'host'; readonly host: string }
  /** A workload renews what it has, as long as those may who it was given for. */
  | { readonly kind: 'workload'; readonly id: string; readonly origin: Origin }
) & {
  /** Whether the token that it showed is still good; absent = it showed none. */
  readonly isGood?: () => boolean
}

/** For whom the certificate of a workload was issued. `shown`: for nobody else, it shows its token now. */
export type Origin = LeafOrigin | { readonly kind: 'shown' } | { readonly kind: 'unknown' }

const identityWord = /^ns\/([A-Za-z0-9._-]*\*?)\/sa\/([A-Za-z0-9._-]*\*?)$/
const hostWord = /^[A-Za-z0-9._-]*\*?$/

/** Whether it is a pattern of identities at all. */
export function isIdentityPattern(text: string): boolean {
  const found = identityWord.exec(text)
  return found !== null && found[1] !== '' && found[2] !== ''
}

/** Whether it is the name of one workload: `ns/NAMESPACE/sa/ACCOUNT`. */
export function isIdentity(text: string): boolean {
  return parseSpiffeId(`${spiffeScheme}any/${text}`)?.kind === 'workload'
}

export function isHostPattern(text: string): boolean {
  return text !== '' && text.length <= 255 && hostWord.test(text)
}

/** The host that answers for what is asked; undefined = a token does, or nobody. */
export function hostOf(asker: Asker): string | undefined {
  if (asker.kind === 'host') return asker.host
  return asker.origin.kind === 'host' ? asker.origin.host : undefined
}

/**
 * Why this asker does not get a certificate with this name; undefined = it does. `granted`: what the token of
 * `hostOf(asker)` granted.
 */
export function refusalOf(
  asker: Asker,
  uri: string,
  trustDomain: string,
  granted: readonly string[],
  grants: readonly Grant[],
): string | undefined {
  const id = parseSpiffeId(uri)
  if (id === undefined || id.kind === 'other')
    return `${shown(uri)}: not a name that this authority gives; allowed spiffe://${trustDomain}/ns/NAMESPACE/sa/ACCOUNT`
  if (id.trustDomain !== trustDomain) return `${uri}: allowed is trust domain ${trustDomain}`
  if (asker.kind === 'workload' && asker.id !== uri) return `${uri}: ${asker.id} may renew its own certificate only`
  const host = hostOf(asker)
  if (host === undefined) return refusalWithoutHost(uri, asker)
  if (id.kind === 'host')
    return id.host === host ? undefined : `${uri}: host ${host} may be ${hostId(trustDomain, host)} only`
  const listed = grants.filter(({ hosts }) => hosts.some((pattern) => isLike(host, pattern)))
  const patterns = [...granted, ...listed.flatMap(({ identities }) => identities)]
  if (patterns.some((pattern) => isGranted(id, pattern))) return undefined
  const allowed = patterns.length === 0 ? 'nothing is granted to it' : `granted are ${patterns.slice(0, 10).join(', ')}`
  return `${uri}: not granted to host ${host}; ${allowed}`
}

function refusalWithoutHost(uri: string, asker: Asker): string | undefined {
  const kind = asker.kind === 'workload' ? asker.origin.kind : 'unknown'
  if (kind === 'shown') return undefined
  return kind === 'token'
    ? `${uri}: its certificate was given for a token, which is to be shown for the next one`
    : `${uri}: its certificate does not say for which host it was issued; ask with the certificate of the host`
}

function isGranted(id: Extract<SpiffeId, { kind: 'workload' }>, pattern: string): boolean {
  const [, namespace, account] = identityWord.exec(pattern) ?? []
  if (namespace === undefined || account === undefined) return false
  return isLike(id.namespace, namespace) && isLike(id.account, account)
}

function isLike(text: string, pattern: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
}

function shown(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
