/**
 * Persistent instances, services made on purpose and configuration documents in one JSON file, written whole and
 * atomically.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { MeshError } from '../../../contracts/errors.ts'
import type { ConfigKey, StoredConfig } from '../server/backend.ts'
import { configKeyOf, configTypeOf } from '../server/config-key.ts'
import { parseInstance } from '../server/instance.ts'
import { serviceNameOf } from '../server/service-name.ts'
import type { PersistentService } from '../server/naming-store.ts'

export interface StoreContent {
  readonly services: readonly PersistentService[]
  readonly configs: readonly (ConfigKey & StoredConfig)[]
}

const empty: StoreContent = { services: [], configs: [] }

/**
 * Reads the file; a missing one is empty. Rejects with E_CONFIG_UNREADABLE for one that cannot be read or holds
 * something else.
 */
export async function readStoreFile(path: string): Promise<StoreContent> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return empty
    throw new MeshError('E_CONFIG_UNREADABLE', `${path}: cannot be read; remove it to start empty`, { cause })
  }
  try {
    const raw = JSON.parse(text) as {
      version: number
      services: PersistentService[]
      configs: (ConfigKey & StoredConfig)[]
    }
    if (raw.version !== 1) throw new Error(`version ${raw.version}, 1 is known`)
    return {
      services: raw.services.map(({ service, settings, isKept, instances }) => ({
        service: serviceNameOf(service.namespace, service.group, service.name),
        settings: { protectThreshold: Number(settings.protectThreshold), metadata: settings.metadata },
        isKept,
        instances: instances.map((instance) => parseInstance({ ...instance })),
      })),
      configs: raw.configs.map((config) => ({
        ...config,
        ...configKeyOf(config.namespace, config.group, config.dataId),
        content: String(config.content),
        type: configTypeOf(config.type),
        modifiedAt: Number(config.modifiedAt),
      })),
    }
  } catch (cause) {
    throw new MeshError('E_CONFIG_UNREADABLE', `${path}: not a store of this version; remove it to start empty`, {
      cause,
    })
  }
}

/** Writes after changes, at most one write at a time and the newest content last. */
export class StoreWriter {
  private readonly path: string
  private readonly content: () => StoreContent
  private readonly onFailure: (error: unknown) => void
  private isDirty = false
  private writing: Promise<void> | undefined

  constructor(path: string, content: () => StoreContent, onFailure: (error: unknown) => void) {
    this.path = path
    this.content = content
    this.onFailure = onFailure
  }

  changed(): void {
    this.isDirty = true
    this.writing ??= this.write().finally(() => {
      this.writing = undefined
    })
  }

  /** Resolves when everything is on disk. */
  async flush(): Promise<void> {
    await this.writing
  }

  private async write(): Promise<void> {
    // Changes of one turn of the loop are written once.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.isDirty) {
      this.isDirty = false
      try {
        const temporary = `${this.path}.${process.pid}.tmp`
        await writeFile(temporary, JSON.stringify({ version: 1, ...this.content() }), { mode: 0o600 })
        await rename(temporary, this.path)
      } catch (error) {
        this.onFailure(error)
      }
    }
  }
}
