/** The file adapter: a directory of endpoint files (`endpoint-file.ts`), watched. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { readEndpoints, type ReadEndpoints } from './endpoint-file-reader.ts'
import { FileAdapter, type FileAdapterConfig } from './file-adapter.ts'

export type { FileAdapterConfig } from './file-adapter.ts'

/** Serves the endpoints of `directory`. Opens nothing before `start()`. `register()` throws E_CONFIG_INVALID. */
export function createFileAdapter(
  config: FileAdapterConfig,
  deps: AdapterDeps,
  read: ReadEndpoints = readEndpoints,
): RegistryAdapter {
  return new FileAdapter(config, deps, read)
}
