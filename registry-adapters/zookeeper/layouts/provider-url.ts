/**
 * Provider URLs, as Dubbo and SOFARPC name their nodes:
 * `dubbo://10.0.0.1:20880/com.acme.Orders?version=1.0.0&weight=100`, percent-encoded as one name.
 */
import { isIP } from 'node:net'
import { decodedName } from './layout.ts'

export interface ProviderUrl {
  readonly protocol: string
  readonly address: string
  readonly port: number
  /** Without the leading slash. */
  readonly path: string
  readonly parameters: ReadonlyMap<string, string>
}

/** Longer names are not read. ZooKeeper's own bound for a request is 1 MiB. */
const maxLength = 32_768
const shape =
  /^([a-z][a-z0-9+.-]{0,63}):\/\/(?:[^@/?]{0,256}@)?(\[[0-9a-fA-F:.]+\]|[^:/?[\]]+):(\d{1,5})(?:\/([^?]*))?(?:\?(.*))?$/s

/** Reads the name of a node; undefined = it is none. */
export function readProviderUrl(encoded: string): ProviderUrl | undefined {
  if (encoded.length > maxLength) return undefined
  let text: string
  try {
    text = decodeURIComponent(encoded)
  } catch {
    return undefined
  }
  const found = shape.exec(text)
  if (found === null) return undefined
  const [, protocol, host, portText, path, query] = found
  const address = host!.startsWith('[') ? host!.slice(1, -1) : host!
  const port = Number(portText)
  if (isIP(address) === 0 || port < 1 || port > 65_535) return undefined
  const parameters = new Map<string, string>()
  for (const pair of (query ?? '').split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const [key, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    // values may be encoded a second time, and often are not
    parameters.set(decodedName(key), decodedName(value))
  }
  return { protocol: protocol!, address, port, path: path ?? '', parameters }
}

/** The name of a node. */
export function writeProviderUrl(url: ProviderUrl): string {
  const host = url.address.includes(':') ? `[${url.address}]` : url.address
  const query = [...url.parameters].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
  const path = url.path === '' ? '' : `/${url.path}`
  return encodeURIComponent(`${url.protocol}://${host}:${url.port}${path}?${query.join('&')}`)
}
