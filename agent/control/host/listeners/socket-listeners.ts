import type { ListenerSpec, SourceAppSpec } from '../../../../contracts/snapshot.ts'
import type { AgentConfig, OutboundSocket } from '../../config/types.ts'

/** The listeners of `outbound.sockets`, by name. */
export function socketListeners({ outbound }: AgentConfig): Map<string, ListenerSpec> {
  const wanted = new Map<string, ListenerSpec>()
  for (const socket of outbound.sockets) {
    const { application, gid, mode, path, protocol, uid } = socket
    const name = `outbound-socket:${path}`
    const base = {
      name,
      address: path,
      port: 0,
      access: { mode, ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) },
      ...(application === undefined ? {} : { source: sourceOf(application) }),
      proxyProtocol: 'off',
      halfClosed: outbound.halfClosed,
    } as const
    wanted.set(name, protocol === 'http' ? { ...base, kind: 'shared-http' } : { ...base, kind: 'shared-rpc', protocol })
  }
  return wanted
}

function sourceOf({ name, namespace }: NonNullable<OutboundSocket['application']>): SourceAppSpec {
  return { app: name, namespace, labels: { app: name } }
}
