/** Keys of local applications behind their inbound ports: `$inbound/NAMESPACE:GROUP:ADDRESS:PORT@@NAME`. */
import { parseServiceName } from './endpoint.ts'
import { isIpv4, parseIpv6 } from './ip-literal.ts'
import type { ServiceKey, ServiceName } from './endpoint.ts'

/** No registry can have it, because nobody can ask for it. */
export const inboundNamespace = '$inbound'

export function inboundKeyOf({ group, name, namespace }: ServiceName, address: string, port: number): ServiceKey {
  return `${inboundNamespace}/${namespace}:${group}:${address}:${port}@@${name}`
}

/** The service as others call it, whichever side of it a key stands on. Undefined: it is no key. */
export function servedService(key: string): ServiceName | undefined {
  if (!key.startsWith(`${inboundNamespace}/`)) return parseServiceName(key)
  const at = key.indexOf('@@')
  if (at < 0) return undefined
  const [namespace = '', ...parts] = key.slice(inboundNamespace.length + 1, at).split(':')
  // a group may hold colons, as an address of IPv6 does
  for (let from = 1; from < parts.length - 1; from++)
    if (isAddress(parts.slice(from, -1).join(':')))
      return { namespace, group: parts.slice(0, from).join(':'), name: key.slice(at + 2) }
  return undefined
}

function isAddress(text: string): boolean {
  return isIpv4(text) || parseIpv6(text) !== undefined
}
