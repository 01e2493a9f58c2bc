/** The two ways to ask for services: a gRPC connection with pushes, and HTTP polls where no server speaks gRPC. */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { NacosConnection } from '../grpc/connection.ts'
import type { NacosSession } from '../grpc/sessions.ts'
import type { NacosMember, ServerList } from '../server-list/server-list.ts'
import { clientRequests } from '../wire/messages.ts'
import type { HttpNaming } from './http-naming.ts'
import type { NamingTransport } from './naming-watch.ts'

/** Asks over one connection; good until that connection is over. */
export function grpcTransport(session: NacosSession, connection: NacosConnection): NamingTransport {
  const ask = async (type: string, service: ServiceName, more: object): Promise<unknown> => {
    const body = { namespace: service.namespace, serviceName: service.name, groupName: service.group, ...more }
    const answer = await session.request(type, body, { kind: 'service', group: service.group, name: service.name })
    return answer.body['serviceInfo']
  }
  return {
    source: `${connection.server.id}#${connection.id}`,
    pollMs: 0,
    // all clusters: servers have pushed wrong lists to subscribers of single ones, so the choice of clusters is ours
    subscribe: (service) => ask(clientRequests.subscribeService, service, { subscribe: true, clusters: '' }),
    unsubscribe: async (service) =>
      void (await ask(clientRequests.subscribeService, service, { subscribe: false, clusters: '' })),
    query: (service) => ask(clientRequests.serviceQuery, service, { cluster: '', healthyOnly: false, udpPort: 0 }),
  }
}

export interface HttpTransport extends NamingTransport {
  readonly server: NacosMember
  close(): void
}

/**
 * Polls one server, and when it fails the next one; `onLost` once when none answers. `nudge` hears which services are
 * polled.
 */
export function httpTransport(
  naming: HttpNaming,
  servers: ServerList,
  first: NacosMember,
  pollMs: number,
  onLost: (problem: MeshError) => void,
  nudge: { watch(service: ServiceName): void; unwatch(service: ServiceName): void },
): HttpTransport {
  const abort = new AbortController()
  let server = first
  const query = async (service: ServiceName): Promise<unknown> => {
    let last = new MeshError('E_REGISTRY_UNREACHABLE', 'no Nacos server address is known')
    const others = servers.inRandomOrder().filter(({ id }) => id !== server.id)
    for (const candidate of [server, ...others]) {
      try {
        const info = await naming.list(candidate, service, abort.signal)
        server = candidate
        return info
      } catch (error) {
        last = error as MeshError
        if (abort.signal.aborted || last.code === 'E_REGISTRY_DENIED') throw last
      }
    }
    if (last.code !== 'E_REGISTRY_PROTOCOL') onLost(last)
    throw last
  }
  return {
    get server() {
      return server
    },
    get source() {
      return server.id
    },
    pollMs,
    subscribe: (service) => {
      nudge.watch(service)
      return query(service)
    },
    unsubscribe: (service) => Promise.resolve(nudge.unwatch(service)),
    query,
    close: () => abort.abort(),
  }
}
