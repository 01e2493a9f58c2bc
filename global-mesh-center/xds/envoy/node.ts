/**
 * What a foreign client says of itself that decides what it gets: in the metadata of its node, `services` (those that
 * it calls), `listen` (where its listener is) and `identity` (who it wants to be). None opens anything that its
 * credentials do not.
 */
import { isIP } from 'node:net'
import { parseHostPort } from '../../../agent/control/config/scalars.ts'
import { isIdentity } from '../../ca/grants.ts'
import { decodeMessage } from '../../../contracts/envoy-api/decode.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'

export interface NodeView {
  readonly listen: { readonly host: string; readonly port: number }
  /** undefined = those about which rules say something. */
  readonly services: readonly string[] | undefined
  /** `ns/NAMESPACE/sa/ACCOUNT`; undefined = what its credentials say. */
  readonly identity: string | undefined
}

const defaultListen = { host: '127.0.0.1', port: 15_001 }
const maxNamed = 1000
const maxNameLength = 1000

/** Throws RangeError with what is found and allowed. */
export function nodeView(bytes: Buffer | undefined): NodeView {
  const node = bytes === undefined ? {} : decodeMessage('envoy.config.core.v3.Node', bytes)
  const { services, listen, identity } = (node['metadata'] ?? {}) as Plain
  return {
    services: servicesOf(services),
    listen: listen === undefined ? defaultListen : listenOf(listen),
    identity: identity === undefined ? undefined : identityOf(identity),
  }
}

function servicesOf(found: unknown): readonly string[] | undefined {
  if (found === undefined) return undefined
  const isList = Array.isArray(found) && found.length <= maxNamed
  if (!isList || !found.every((one) => typeof one === 'string' && one.length <= maxNameLength))
    throw new RangeError(`node.metadata.services: found ${short(found)}, allowed a list of at most ${maxNamed} names`)
  return [...new Set(found as readonly string[])].toSorted()
}

function listenOf(found: unknown): NodeView['listen'] {
  const parsed = typeof found === 'string' ? parseHostPort(found, false) : undefined
  if (parsed === undefined || isIP(parsed.host) === 0 || parsed.port === 0)
    throw new RangeError(`node.metadata.listen: found ${short(found)}, allowed an address and a port`)
  return parsed
}

function identityOf(found: unknown): string {
  if (typeof found === 'string' && isIdentity(found)) return found
  throw new RangeError(`node.metadata.identity: found ${short(found)}, allowed ns/NAMESPACE/sa/ACCOUNT`)
}

function short(found: unknown): string {
  return JSON.stringify(found)?.slice(0, 100) ?? 'nothing'
}
