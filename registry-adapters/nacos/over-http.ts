/** The Nacos adapter without gRPC, for processes that have no library of it: services and documents are asked for. */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { NacosAdapter } from './adapter.ts'
import type { NacosAdapterConfig } from './config.ts'
import { noSession } from './grpc/sessions.ts'

export type { NacosAdapter } from './adapter.ts'
export type { NacosAdapterConfig } from './config.ts'

/** As `createNacosAdapter`, with `transport: 'http'` whatever the configuration says. */
export function createHttpNacosAdapter(config: NacosAdapterConfig, deps: AdapterDeps): NacosAdapter {
  return new NacosAdapter({ ...config, transport: 'http' }, deps, noSession)
}
