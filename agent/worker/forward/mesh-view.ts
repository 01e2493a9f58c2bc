import type { AppProtocol, EndpointProtocol } from '../../../contracts/protocols.ts'
import type { LimitsSpec, MeshSpec, NodeSpec } from '../../../contracts/snapshot.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { VirtualHost } from '../route/types.ts'

/** What a request asks of the snapshot on its way. */
export interface MeshView {
  readonly limits: LimitsSpec
  readonly node: Pick<NodeSpec, 'tier'>
  readonly mesh: Pick<MeshSpec, 'tracing' | 'generateRequestId'>
  /** Our name in Via. */
  readonly pseudonym: string
  readonly names: {
    host(name: string): VirtualHost | undefined
    /** null: the mesh does not know it; undefined: control has to be asked. */
    findName(name: string): VirtualHost | null | undefined
  }
  findAuthority(authority: string): VirtualHost | null | undefined
  /** The virtual host at a port of a gateway; undefined = none has the name. */
  gatewayHost(listener: string, serverName: string, authority: string): string | undefined
  withoutPort(authority: string): string
  upstream(clusterKey: string): Upstream | undefined
  /** What the applications of a service speak; undefined = no service of the snapshot. */
  protocolOf(service: string): AppProtocol | undefined
  /**
   * A destination for `address:port` that a caller named; null when it is no address or outside the allowed networks.
   */
  fallback(address: string, protocol: EndpointProtocol): Upstream | null
}
