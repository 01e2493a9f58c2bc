/** The page that an SDK reads, with whatever a test says of a host. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AgentDiscovery, DiscoveredService } from '../../../contracts/sdk-discovery.ts'

export interface StandInAgent {
  readonly address: string
  /** What it says from now on; a text is sent as it is. */
  says: AgentDiscovery | string
  /** Names that were asked for. */
  readonly asked: Set<string>
  close(): Promise<void>
}

export function discovery(change: Partial<AgentDiscovery>): AgentDiscovery {
  return {
    host: 'alpha',
    http: null,
    rpc: {},
    nacosFace: null,
    centers: [],
    centersWantProof: false,
    centersTakeUnnamed: true,
    services: {},
    ...change,
  }
}

export function serviceAt(...endpoints: string[]): DiscoveredService {
  return { service: 'public/DEFAULT_GROUP@@orders', center: true, direct: true, endpoints }
}

export async function startStandIn(says: AgentDiscovery | string): Promise<StandInAgent> {
  const asked = new Set<string>()
  const server = createServer((incoming, outgoing) => {
    for (const name of new URL(incoming.url!, 'http://agent').searchParams.getAll('service')) asked.add(name)
    outgoing.end(typeof agent.says === 'string' ? agent.says : JSON.stringify(agent.says))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent: StandInAgent = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    says,
    asked,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return agent
}
