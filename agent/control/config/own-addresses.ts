/**
 * Where this agent itself listens by its configuration, apart from allocated ports: for conflicts, for the allocator
 * and against loops.
 */
import { nacosFaceAddresses } from '../kinds/nacos-face.ts'
import { isSofaPort, sofaFaceAddress } from '../kinds/sofa-face.ts'
import type { HostPort } from './scalars.ts'
import type { AgentConfig } from './types.ts'

export interface OwnAddress extends HostPort {
  /** In `agent.yaml`. */
  readonly path: readonly string[]
}

export function ownAddresses(config: AgentConfig): OwnAddress[] {
  const all: OwnAddress[] = []
  const add = (address: HostPort | 'off' | undefined, ...path: string[]): void => {
    if (address !== undefined && address !== 'off') all.push({ ...address, path })
  }
  add(config.outbound.http, 'outbound', 'http')
  add(config.outbound.tunnels.address, 'outbound', 'tunnels', 'address')
  for (const [at, { address }] of config.outbound.rpc.entries()) {
    if (isSofaPort(config.sofaFace, address)) add(address, 'sofaFace', 'boltPort')
    else add(address, 'outbound', 'rpc', String(at), 'address')
  }
  add(sofaFaceAddress(config.sofaFace), 'sofaFace', 'port')
  add(config.admin.address, 'admin', 'address')
  add(config.metrics.address, 'metrics', 'address')
  add(config.readiness.address, 'readiness', 'address')
  add(config.relay?.address, 'relay', 'address')
  add(config.api?.address, 'api', 'address')
  for (const host of config.gateway?.addresses ?? [])
    for (const [at, port] of (config.gateway?.ports ?? []).entries())
      add({ host, port }, 'gateway', 'ports', String(at))
  for (const { key, ...address } of nacosFaceAddresses(config.nacosFace)) add(address, 'nacosFace', key)
  return [...all, ...config.morePorts]
}
