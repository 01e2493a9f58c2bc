/**
 * Dubbo's application-level discovery reads ports from metadata, not from the instance: `dubbo.endpoints` (one per
 * protocol) and the port of the metadata service. At our loopback address only one port leads there, so what names the
 * application's own port is turned to it, and endpoints of other ports are left out. Source:
 * org.apache.dubbo.registry.client.metadata.ServiceInstanceMetadataUtils of Dubbo 3.3.
 */
const endpointsKey = 'dubbo.endpoints'
const metadataServiceKey = 'dubbo.metadata-service.url-params'

/**
 * The address to show for an instance with this metadata. Dubbo dials the network address of its host where it reads
 * 127.x (NetUtils.filterLocalHost), and nobody listens there; the mapped form of the same address is left alone and
 * reaches loopback.
 */
export function dialableAddress(metadata: Readonly<Record<string, string>>, address: string): string {
  const isDubbo =
    metadata[endpointsKey] !== undefined || (metadata['dubbo'] !== undefined && metadata['side'] !== undefined)
  return isDubbo && address.startsWith('127.') ? `::ffff:${address}` : address
}

/**
 * `appPort` is the application's own port on its host, `port` the localhost port. Anything that is not in Dubbo's form
 * stays as it is.
 */
export function dubboMetadata(
  metadata: Readonly<Record<string, string>>,
  appPort: number,
  port: number,
): Record<string, string> {
  const turned: Record<string, string> = { ...metadata }
  const endpoints = parsed(metadata[endpointsKey])
  if (Array.isArray(endpoints)) {
    const reachable = endpoints.filter((one: unknown) => isObject(one) && Number(one['port']) === appPort)
    turned[endpointsKey] = JSON.stringify(reachable.map((one: object) => ({ ...one, port })))
  }
  const service = parsed(metadata[metadataServiceKey])
  if (isObject(service) && Number(service['port']) === appPort) {
    turned[metadataServiceKey] = JSON.stringify({ ...service, port: String(port) })
  }
  return turned
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
