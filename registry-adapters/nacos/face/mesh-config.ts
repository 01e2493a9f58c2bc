/** Configuration requests, passed on to the real server. */
import { MeshError } from '../../../contracts/errors.ts'
import type { ConfigDocument, ConfigSource, Subscription } from '../../../contracts/registry-adapter.ts'
import type { Holder } from '../../../guard/caller.ts'
import type { ConfigKey, StoredConfig } from '../server/backend.ts'
import { configId, configTypeOf, contentMd5 } from '../server/config-key.ts'
import type { FaceDeps } from './face-deps.ts'
import { NacosFault } from '../server/fault.ts'
import { WatchTable } from './watch-table.ts'
import type { Watched } from './watch-table.ts'

export interface MeshConfigOptions {
  readonly maxWatched: number
  readonly maxWatchedPerUser: number
  /** How long the real server may take; ms. */
  readonly timeoutMs: number
  /** How long a document that nobody listens to stays watched, so that the next long poll finds it so; ms. */
  readonly idleMs: number
}

interface WatchedConfig extends Watched {
  readonly listeners: Set<(md5: string) => void>
  /** undefined = the real server has not answered yet. */
  md5: string | undefined
}

/** Asked by whoever has looked whether the caller may. */
export class MeshConfig {
  private readonly deps: Pick<FaceDeps, 'configOf' | 'clock'>
  private readonly options: MeshConfigOptions
  private readonly watched: WatchTable<WatchedConfig>

  constructor(deps: Pick<FaceDeps, 'configOf' | 'clock'>, options: MeshConfigOptions) {
    this.deps = deps
    this.options = options
    const { idleMs, maxWatched: most, maxWatchedPerUser: mostPerUser } = options
    const now = (): number => deps.clock.monotonic()
    this.watched = new WatchTable({ limit: 'maxConfigs', most, mostPerUser, idleMs, now })
  }

  get size(): number {
    return this.watched.size
  }

  async read(key: ConfigKey): Promise<StoredConfig | undefined> {
    const found = await this.readOne(key)
    if (found === undefined) return undefined
    return {
      content: found.content,
      md5: contentMd5(found.content),
      type: typeByName(key.dataId),
      modifiedAt: this.deps.clock.wall(),
    }
  }

  async publish(key: ConfigKey, content: string, _type: string, casMd5: string | undefined): Promise<boolean> {
    const source = this.source(key)
    let expected: string | undefined
    if (casMd5 !== undefined) {
      const found = await this.readOne(key)
      if (found !== undefined && contentMd5(found.content) !== casMd5) return false
      expected = found?.revision ?? ''
    }
    try {
      await source.publish(key.group, key.dataId, content, expected, this.deadline())
      return true
    } catch (error) {
      if (error instanceof MeshError && error.code === 'E_REGISTRY_CONFLICT') return false
      throw refusal(error)
    }
  }

  async remove(key: ConfigKey): Promise<void> {
    try {
      await this.source(key).remove(key.group, key.dataId, this.deadline())
    } catch (error) {
      throw refusal(error)
    }
  }

  watch(key: ConfigKey, md5Now: string, onChange: (md5: string) => void, holder: Holder): Subscription {
    const watched = this.watchedOf(key, holder)
    const rest = this.watched.listen(configId(key), holder)
    let known = md5Now
    let isOver = false
    const listener = (md5: string): void => {
      if (isOver || md5 === known) return
      known = md5
      onChange(md5)
    }
    watched.listeners.add(listener)
    queueMicrotask(() => {
      if (watched.md5 !== undefined) listener(watched.md5)
    })
    return {
      unsubscribe: () => {
        isOver = true
        if (watched.listeners.delete(listener)) rest()
      },
    }
  }

  list(): undefined {
    return undefined
  }

  sweep(): void {
    this.watched.sweep()
  }

  close(): void {
    this.watched.close()
  }

  private watchedOf(key: ConfigKey, holder: Holder): WatchedConfig {
    return this.watched.take(
      configId(key),
      holder,
      () => ({ listeners: new Set(), upstream: undefined, md5: undefined }),
      (watched) =>
        this.source(key).watch(key.group, key.dataId, (document) => {
          watched.md5 = document === undefined ? '' : contentMd5(document.content)
          for (const listener of watched.listeners) listener(watched.md5)
        }),
    )
  }

  private async readOne(key: ConfigKey): Promise<ConfigDocument | undefined> {
    try {
      return await this.source(key).read(key.group, key.dataId, this.deadline())
    } catch (error) {
      throw refusal(error)
    }
  }

  private source(key: ConfigKey): ConfigSource {
    const source = this.deps.configOf(key.namespace)
    if (source !== undefined) return source
    throw new NacosFault('unsupported', `namespace ${key.namespace}: no registry of this host keeps its configuration`)
  }

  private deadline(): AbortSignal {
    return AbortSignal.timeout(this.options.timeoutMs)
  }
}

function refusal(error: unknown): NacosFault {
  if (error instanceof NacosFault) return error
  const message = error instanceof Error ? error.message : String(error)
  const isDenied = error instanceof MeshError && error.code === 'E_REGISTRY_DENIED'
  return new NacosFault(isDenied ? 'denied' : 'server', `real server: ${message}`, { cause: error })
}

/** The real type is not passed through; the name's ending tells it as a rule. */
function typeByName(dataId: string): string {
  const ending = dataId.slice(dataId.lastIndexOf('.') + 1).toLowerCase()
  return configTypeOf(ending === 'yml' ? 'yaml' : ending)
}
