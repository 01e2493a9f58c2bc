/** A document in a list of many: one that the caller may not read must not spoil the others. */
import type { ConfigBackend, ConfigKey, StoredConfig } from './backend.ts'
import type { Caller } from '../../../guard/caller.ts'
import { NacosFault } from './fault.ts'

export async function readable(
  config: ConfigBackend,
  key: ConfigKey,
  caller: Caller,
): Promise<StoredConfig | undefined | 'denied'> {
  try {
    return await config.read(key, caller)
  } catch (error) {
    if (error instanceof NacosFault && error.kind === 'denied') return 'denied'
    throw error
  }
}
