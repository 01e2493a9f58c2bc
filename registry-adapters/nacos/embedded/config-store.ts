/** Configuration documents in memory: read, publish with compare-and-set, remove, watch. */
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { ConfigBackend, ConfigKey, StoredConfig } from '../server/backend.ts'
import { configId, contentMd5 } from '../server/config-key.ts'
import { NacosFault, overLimit } from '../server/fault.ts'
import type { NacosLimits } from '../server/limits.ts'

export interface ConfigStoreOptions {
  /** Epoch ms. */
  readonly now: () => number
  readonly limits: Pick<NacosLimits, 'maxConfigs' | 'maxConfigBytes' | 'maxConfigTotalBytes'>
  /** Called after each change. */
  readonly onChange?: () => void
}

interface Kept extends ConfigKey, StoredConfig {
  readonly bytes: number
}

export class ConfigStore implements ConfigBackend {
  private readonly options: ConfigStoreOptions
  private readonly documents = new Map<string, Kept>()
  private readonly watchers = new Map<string, Set<(md5: string) => void>>()
  private bytes = 0

  constructor(options: ConfigStoreOptions) {
    this.options = options
  }

  async read(key: ConfigKey): Promise<StoredConfig | undefined> {
    return this.documents.get(configId(key))
  }

  async publish(key: ConfigKey, content: string, type: string, casMd5: string | undefined): Promise<boolean> {
    const { maxConfigs, maxConfigBytes, maxConfigTotalBytes } = this.options.limits
    const id = configId(key)
    const former = this.documents.get(id)
    if (casMd5 !== undefined && former !== undefined && casMd5 !== former.md5) return false
    const bytes = Buffer.byteLength(content, 'utf8')
    if (bytes > maxConfigBytes) {
      throw new NacosFault('too-large', `content: ${bytes} bytes, ${maxConfigBytes} allowed; nothing was written`)
    }
    const total = this.bytes - (former?.bytes ?? 0) + bytes
    if (total > maxConfigTotalBytes) throw overLimit('maxConfigTotalBytes', total, maxConfigTotalBytes)
    if (former === undefined && this.documents.size >= maxConfigs) {
      throw overLimit('maxConfigs', this.documents.size + 1, maxConfigs)
    }
    const { namespace, group, dataId } = key
    const md5 = contentMd5(content)
    this.documents.set(id, { namespace, group, dataId, content, md5, type, modifiedAt: this.options.now(), bytes })
    this.bytes = total
    this.options.onChange?.()
    if (md5 !== former?.md5) this.tell(id, md5)
    return true
  }

  async remove(key: ConfigKey): Promise<void> {
    const id = configId(key)
    const former = this.documents.get(id)
    if (former === undefined) return
    this.documents.delete(id)
    this.bytes -= former.bytes
    this.options.onChange?.()
    this.tell(id, '')
  }

  watch(key: ConfigKey, md5Now: string, onChange: (md5: string) => void): Subscription {
    const id = configId(key)
    const watchers = this.watchers.get(id) ?? new Set<(md5: string) => void>()
    let isOver = false
    const watcher = (md5: string): void => {
      if (!isOver) onChange(md5)
    }
    watchers.add(watcher)
    this.watchers.set(id, watchers)
    const now = this.documents.get(id)?.md5 ?? ''
    if (now !== md5Now) queueMicrotask(() => watcher(this.documents.get(id)?.md5 ?? ''))
    return {
      unsubscribe: () => {
        isOver = true
        watchers.delete(watcher)
        if (watchers.size === 0 && this.watchers.get(id) === watchers) this.watchers.delete(id)
      },
    }
  }

  list(namespace: string): readonly (ConfigKey & StoredConfig)[] {
    return this.all().filter((document) => document.namespace === namespace)
  }

  all(): readonly (ConfigKey & StoredConfig)[] {
    return [...this.documents.values()].sort((a, b) => (configId(a) < configId(b) ? -1 : 1))
  }

  /** Takes over documents of an earlier process. */
  restore(documents: readonly (ConfigKey & StoredConfig)[]): void {
    for (const { namespace, group, dataId, content, type, modifiedAt } of documents) {
      const bytes = Buffer.byteLength(content, 'utf8')
      const key = { namespace, group, dataId }
      this.documents.set(configId(key), { ...key, content, md5: contentMd5(content), type, modifiedAt, bytes })
      this.bytes += bytes
    }
  }

  get size(): number {
    return this.documents.size
  }

  private tell(id: string, md5: string): void {
    const watchers = [...(this.watchers.get(id) ?? [])]
    if (watchers.length > 0) {
      queueMicrotask(() => {
        for (const watcher of watchers) watcher(md5)
      })
    }
  }
}
