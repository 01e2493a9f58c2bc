import { headers } from '../../../contracts/words.ts'
import type { Edge } from '../listen/listener-context.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'

const forwardedFor = 'x-forwarded-for'
const forwardedProto = 'x-forwarded-proto'
/** Of the mesh alone: no route and no filter sees them. */
const meshFields = [headers.service, headers.fallback, headers.route, headers.source, 'x-forwarded-client-cert']
const ourSayings: ReadonlySet<string> = new Set([forwardedFor, forwardedProto, ...meshFields])
const sayings: ReadonlySet<string> = new Set([
  ...ourSayings,
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
])

/**
 * What a request from a stranger says of where it came from: our own word. Of proxies in front of us that are trusted,
 * their entries of `x-forwarded-for` stay, the last ones, and what they say of scheme, host and port.
 */
export function edgeFields(view: RequestView, { scheme, trustedProxies }: Edge): HeaderEdits {
  const { sourceAddress } = view
  if (trustedProxies === 0) {
    const fields = [[forwardedFor, sourceAddress] as const, [forwardedProto, scheme] as const]
    return { fields, drop: sayings }
  }
  const said = (view.headerValues(forwardedFor) ?? '').split(',').map((one) => one.trim())
  const believed = said.filter((one) => one !== '').slice(-trustedProxies)
  const proto = view.header(forwardedProto)
  return {
    fields: [
      [forwardedFor, [...believed, sourceAddress].join(', ')],
      [forwardedProto, proto === 'http' || proto === 'https' ? proto : scheme],
    ],
    drop: ourSayings,
  }
}
