/**
 * The ZooKeeper adapter: Dubbo's two layouts, SOFARPC's, Curator's and a plain one, on a client of our own (decision
 * record on the ZooKeeper client).
 */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { ZooKeeperAdapter } from './adapter.ts'
import type { ZooKeeperAdapterConfig } from './config.ts'

export type { ZooKeeperAdapterConfig } from './config.ts'
export { layoutNames } from './layouts/index.ts'
export type { LayoutName } from './layouts/index.ts'

/** Opens nothing before `start()`. */
export function createZooKeeperAdapter(config: ZooKeeperAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new ZooKeeperAdapter(config, deps)
}
