/**
 * Names of workloads and hosts as certificates carry them: one URI each, after SPIFFE-ID (2.1 to 2.4) and Istio.
 *
 * - workload: `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, Istio's form
 * - host: `spiffe://TRUST-DOMAIN/host/NAME`, for what an agent itself asks of a center
 */
export type SpiffeId =
  | { readonly kind: 'workload'; readonly trustDomain: string; readonly namespace: string; readonly account: string }
  | { readonly kind: 'host'; readonly trustDomain: string; readonly host: string }
  /** A well-formed id of another form, as a SPIRE server of somebody else gives it. */
  | { readonly kind: 'other'; readonly trustDomain: string; readonly path: string }

export const spiffeScheme = 'spiffe://'
/** SPIFFE-ID 2.3. */
const maxBytes = 2048
const maxTrustDomain = 255
const domainWord = /^[a-z0-9._-]+$/
const segmentWord = /^[A-Za-z0-9._-]+$/

/** Lower-case letters, digits, dots, dashes, underscores; at most 255 characters. */
export function isTrustDomain(text: string): boolean {
  return text.length <= maxTrustDomain && domainWord.test(text)
}

/** Whether it may stand between two slashes: letters, digits, `.`, `-`, `_`; neither `.` nor `..`. */
export function isPathSegment(text: string): boolean {
  return text.length <= maxTrustDomain && isSegment(text)
}

function isSegment(text: string): boolean {
  return segmentWord.test(text) && text !== '.' && text !== '..'
}

/** A path segment that begins with a letter or a digit, as names of hosts do. */
export function isHostName(text: string): boolean {
  return isPathSegment(text) && /^[A-Za-z0-9]/.test(text)
}

/** Parts must be good: `isTrustDomain`, `isPathSegment`. */
export function workloadId(trustDomain: string, namespace: string, account: string): string {
  return `${spiffeScheme}${trustDomain}/ns/${namespace}/sa/${account}`
}

/** Parts must be good: `isTrustDomain`, `isHostName`. */
export function hostId(trustDomain: string, host: string): string {
  return `${spiffeScheme}${trustDomain}/host/${host}`
}

/** Undefined for anything that is not exactly a SPIFFE id with a path. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  if (uri.length > maxBytes || !uri.startsWith(spiffeScheme)) return undefined
  const [trustDomain = '', ...segments] = uri.slice(spiffeScheme.length).split('/')
  if (!isTrustDomain(trustDomain) || segments.length === 0 || !segments.every(isPathSegment)) return undefined
  const [first, second, third, fourth] = segments
  if (segments.length === 4 && first === 'ns' && third === 'sa')
    return { kind: 'workload', trustDomain, namespace: second!, account: fourth! }
  if (segments.length === 2 && first === 'host' && isHostName(second!))
    return { kind: 'host', trustDomain, host: second! }
  return { kind: 'other', trustDomain, path: `/${segments.join('/')}` }
}

/** Whether it is a SPIFFE id as the standard spells it: no port, query, empty part, `.` or `..`. */
export function isSpiffeId(text: string): boolean {
  if (text.length > maxBytes || !text.startsWith(spiffeScheme)) return false
  const [trustDomain = '', ...segments] = text.slice(spiffeScheme.length).split('/')
  return isTrustDomain(trustDomain) && segments.every(isSegment)
}

/** Of a valid id. */
export function trustDomainOf(id: string): string {
  return id.slice(spiffeScheme.length).split('/', 1)[0]!
}

/**
 * The one URI among the names of a certificate, in the form in which `X509Certificate` of Node says them, where that is
 * a SPIFFE id. A name with anything that could be taken for another one stands in quotes there, and is none.
 */
export function spiffeIdIn(subjectAltName: string | undefined): string | undefined {
  const uris = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'))
  const id = uris[0]?.slice('URI:'.length)
  return uris.length === 1 && isSpiffeId(id!) ? id : undefined
}
