/**
 * What an application's SDK has to know before the agent fails: where this host serves, and for the services that it
 * names, where their requests may go without the agent. Naming a service keeps it subscribed, as a request for it does.
 */
import { parseServiceName } from '../../../contracts/endpoint.ts'
import type { AgentDiscovery, DiscoveredService } from '../../../contracts/sdk-discovery.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { formatHostPort } from '../config/scalars.ts'
import { centerOrder, namedTarget } from '../core/snapshot/relay-targets.ts'
import type { PageView } from './context.ts'
import { jsonReply, type AdminPage } from './http.ts'

/** Services of one question. */
export const maxNames = 200

export function discoveryPage({ control }: PageView<'control'>): AdminPage {
  return {
    path: '/discovery',
    method: 'GET',
    help: 'for the SDK: where this host serves, and where requests for ?service=NAME&service=… may go without the agent',
    answer: ({ caller, query }) => {
      const names = query.getAll('service')
      if (names.length > maxNames)
        throw new MeshError('E_ADMIN_REQUEST', `service: found ${names.length} names, allowed ${maxNames}`)
      const bad = names.find((name) => parseServiceName(name) === undefined)
      if (bad !== undefined)
        throw new MeshError('E_ADMIN_REQUEST', `service: found "${bad.slice(0, 64)}", which no service can be called`)
      const { center, host, nacosFace, outbound } = control.config
      const { core, deps } = control
      // a map, because callers choose the names
      const services = new Map<string, DiscoveredService | null>()
      for (const name of names) {
        core.names.ask(name, caller)
        const target = namedTarget(core.store, name, deps.rules.guardsCalls)
        if (target !== undefined) services.set(name, target)
      }
      const answer: AgentDiscovery = {
        host: host.name,
        http: outbound.http === 'off' ? null : formatHostPort(outbound.http),
        rpc: Object.fromEntries(outbound.rpc.map(({ protocol, address }) => [protocol, formatHostPort(address)])),
        nacosFace: nacosFace.enabled ? formatHostPort({ host: nacosFace.address, port: nacosFace.httpPort }) : null,
        // never in plain where `center.mtls` says so, and an application calls them in plain
        centers: center.mtls ? [] : centerOrder(host.name, center.addresses),
        centersWantProof: center.secretFile !== undefined,
        centersTakeUnnamed: !deps.rules.guardsCalls,
        services: Object.fromEntries(services),
      }
      return jsonReply(answer)
    },
  }
}
