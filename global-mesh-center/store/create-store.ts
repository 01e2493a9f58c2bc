/** The store that a configuration names. */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { readSecret } from '../../agent/control/kinds/secret-file.ts'
import { readTls } from '../../agent/control/kinds/tls-files.ts'
import type { StoreConfig } from '../config/types.ts'
import { EtcdStore } from './etcd-store.ts'
import { FileStore } from '../../agent/control/store/file-store.ts'
import { storeAdapter } from './nacos-registry.ts'
import { NacosStore } from './nacos-store.ts'
import type { Store } from '../../agent/control/store/store.ts'

export function createStore(config: StoreConfig, deps: AdapterDeps): Store {
  if (config.type === 'files') return new FileStore({ folder: config.directory, clock: deps.clock, log: deps.log })
  if (config.type === 'nacos') {
    const { group, prefix } = config
    return new NacosStore({ adapter: () => storeAdapter(config, deps), group, prefix }, deps)
  }
  const { servers, prefix, usernameFile, passwordFile, tls } = config
  const credentials = (): { name: string; password: string } | undefined =>
    usernameFile === undefined || passwordFile === undefined
      ? undefined
      : { name: readSecret(usernameFile), password: readSecret(passwordFile) }
  return new EtcdStore({ servers, prefix, credentials, tls: () => readTls(tls) }, deps)
}
