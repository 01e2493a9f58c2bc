/**
 * `/server_info` as Envoy answers it, `envoy.admin.v3.ServerInfo`. What Envoy has no field for stands in the metadata
 * of the node.
 */
import type { Locality } from '../../../../contracts/endpoint.ts'

export interface ServerFacts {
  readonly version: string
  readonly state: 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING'
  readonly host: string
  readonly role: string
  readonly locality: Locality
  readonly uptimeSeconds: number
  readonly generation: number
  readonly workers: number
  readonly configFile: string
}

export function envoyServerInfo(facts: ServerFacts, own: object): object {
  const uptime = `${facts.uptimeSeconds}s`
  return {
    version: `hostmesh/${facts.version}/Clean/RELEASE/node-${process.versions.node}`,
    state: facts.state,
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    command_line_options: {
      concurrency: facts.workers,
      config_path: facts.configFile,
      restart_epoch: facts.generation - 1,
    },
    node: {
      id: facts.host,
      cluster: facts.role,
      metadata: own,
      locality: { region: facts.locality.region, zone: facts.locality.zone },
      user_agent_name: 'hostmesh',
    },
  }
}
