/**
 * Whether a web page of somebody else could have caused a request to a local port. A browser that was led here betrays
 * itself: by a Host that is a name (DNS rebinding), by an Origin, or by `Sec-Fetch-Site` (Fetch Metadata, W3C).
 * Programs send none of these.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/**
 * What a request is refused with (403), or undefined. `hostNames`: names that are accepted as Host besides addresses
 * and `localhost`; `any` where a Host cannot mislead.
 */
export function webPageRefusal(
  headers: Pick<IncomingHttpHeaders, 'host' | 'origin' | 'sec-fetch-site'>,
  hostNames: ReadonlySet<string> | 'any',
): string | undefined {
  const site = headers['sec-fetch-site']
  if (headers.origin !== undefined || (site !== undefined && site !== 'none'))
    return 'requests of web pages are not answered here'
  if (hostNames === 'any') return undefined
  const name = hostOf(headers.host)
  if (name !== undefined && (isIP(name) > 0 || name === 'localhost' || hostNames.has(name))) return undefined
  return `host "${headers.host ?? ''}" is no address; use the address itself, names can be rebound`
}

/**
 * Whether a page that this very port served asks: the browser says so (`same-origin`), and what it calls us is an
 * address, which nobody can rebind. Only for ports that serve pages of ours.
 */
export function isOwnPage(headers: Pick<IncomingHttpHeaders, 'host' | 'origin' | 'sec-fetch-site'>): boolean {
  const { host, origin } = headers
  if (headers['sec-fetch-site'] !== 'same-origin') return false
  const name = hostOf(host)
  if (name === undefined || (isIP(name) === 0 && name !== 'localhost')) return false
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`
}

/** Without the port and in lower case: `127.0.0.1:15000`, `[::1]:15000`, `localhost`. */
function hostOf(host: string | undefined): string | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host ?? '')
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}
