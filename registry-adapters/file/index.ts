/** The file adapter: a directory of endpoint files (`endpoint-file.ts`), watched. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { FileAdapter } from './file-adapter.ts'

export interface FileAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Absolute path; may appear later. */
  readonly directory: string
  /** Loopback endpoints are refused without it. */
  readonly allowLoopback: boolean
  /** The directory is read again at least this often, in case a notification was lost; ms, default 5000. */
  readonly pollMs?: number
}

/** Serves the endpoints of `directory`. Opens nothing before `start()`. `register()` throws E_CONFIG_INVALID. */
export function createFileAdapter(config: FileAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new FileAdapter(config, deps)
}
