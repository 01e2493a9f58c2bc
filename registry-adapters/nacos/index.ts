/**
 * The Nacos adapter: discovery by gRPC push, registration by HTTP heartbeats, configuration; servers of the 1.x, 2.x
 * and 3.x lines.
 */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { NacosAdapter } from './adapter.ts'
import type { NacosAdapterConfig } from './config.ts'
import { GrpcSession } from './grpc/session.ts'

export type { NacosAdapter } from './adapter.ts'
export { defaultNacosTimes } from './config.ts'
export type { EndpointRules, NacosAdapterConfig, NacosApi, NacosCredentials, NacosTimes, NacosTls } from './config.ts'

/**
 * An adapter for one Nacos cluster and namespace. Opens nothing before `start()`. Throws E_CONFIG_INVALID for an
 * address that cannot be read.
 */
export function createNacosAdapter(config: NacosAdapterConfig, deps: AdapterDeps): NacosAdapter {
  return new NacosAdapter(config, deps, (...parts) => new GrpcSession(...parts))
}
