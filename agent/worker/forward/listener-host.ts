import type { Accepted } from '../listen/accepted.ts'
import type { MeshView } from './mesh-view.ts'

/** The virtual host that a listener has for a request; null = the request names its service. */
export function listenerHost(
  mesh: Pick<MeshView, 'gatewayHost'>,
  { listener, serverName }: Pick<Accepted, 'listener' | 'serverName'>,
  authority: string,
): string | null {
  if (listener.edge === undefined) return listener.virtualHost
  // where no server has the name, the virtual host of the port itself, which has no route
  return mesh.gatewayHost(listener.name, serverName, authority) ?? listener.virtualHost
}
