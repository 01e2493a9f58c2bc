/**
 * The objects of one collection: listed, then watched from there, listed anew when the server has forgotten where we
 * were.
 */
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { NoSuchCollection } from './kubernetes-api.ts'
import type { KubernetesApi, WatchWord } from './kubernetes-api.ts'

export interface ObjectWatchDeps extends Pick<AdapterDeps, 'clock' | 'random'> {
  readonly api: KubernetesApi
  /** Path of the collection; asked anew before each list. */
  readonly collection: () => string
  readonly watchMs: number
  /** Objects that a list need not keep are left out. */
  readonly isWanted?: (item: unknown) => boolean
  /** All that there are. */
  onList(items: readonly unknown[]): void
  /** One was added, changed or removed. */
  onWord(word: WatchWord): void
  onFailure(error: MeshError): void
}

/**
 * Watches begin so far apart at least, ms: twice as far after each that ended sooner and brought nothing new, so that a
 * server or a proxy that ends them at once is not asked without a pause.
 */
const leastApartMs = 100
const mostApartMs = 10_000
const retryMs = 500
/** What no repetition heals by itself. */
const deniedRetryMs = 10_000
/** Somebody may install the kind. */
const unknownRetryMs = 60_000

export class ObjectWatch {
  private readonly deps: ObjectWatchDeps
  private run: AbortController | undefined
  private resourceVersion = ''

  constructor(deps: ObjectWatchDeps) {
    this.deps = deps
  }

  /** Of the run that goes on; undefined while stopped. */
  get signal(): AbortSignal | undefined {
    return this.run?.signal
  }

  /** The list was heard, and changes are heard from there on. */
  get isListed(): boolean {
    return this.resourceVersion !== ''
  }

  /** Lists and watches until `stop()`. */
  start(): void {
    this.stop()
    const run = new AbortController()
    this.run = run
    void this.loop(run.signal)
  }

  stop(): void {
    this.run?.abort()
    this.run = undefined
    this.resourceVersion = ''
  }

  private async loop(signal: AbortSignal): Promise<void> {
    const { api, clock, random, watchMs } = this.deps
    let collection = this.deps.collection()
    let apartMs = leastApartMs
    while (!signal.aborted) {
      let pauseMs = 0
      try {
        if (this.resourceVersion === '') {
          collection = this.deps.collection()
          const { resourceVersion, items } = await api.list(collection, undefined, signal, this.deps.isWanted)
          if (signal.aborted) return
          this.resourceVersion = resourceVersion
          this.deps.onList(items)
        }
        // never all agents at the same moment
        const lastMs = watchMs * (0.75 + 0.5 * random())
        const begunAt = clock.monotonic()
        let isFruitful = false
        await api.watch(collection, this.resourceVersion, lastMs, signal, (word) => {
          if (signal.aborted) return
          const before = this.resourceVersion
          this.hear(word)
          if (word.type !== 'BOOKMARK' && this.resourceVersion !== before) isFruitful = true
        })
        const livedMs = clock.monotonic() - begunAt
        if (isFruitful || livedMs >= Math.min(mostApartMs, lastMs / 2)) apartMs = leastApartMs
        pauseMs = Math.max(0, apartMs - livedMs)
        apartMs = Math.min(mostApartMs, 2 * apartMs)
      } catch (error) {
        if (signal.aborted) return
        const { code } = error as MeshError
        // whatever it was: what is known now is asked for, not guessed
        this.resourceVersion = ''
        if (error instanceof NoSuchCollection) pauseMs = unknownRetryMs
        else pauseMs = code === 'E_REGISTRY_DENIED' ? deniedRetryMs : retryMs
        if (code !== 'E_REGISTRY_STALE') this.deps.onFailure(error as MeshError)
      }
      if (pauseMs > 0) await new Promise<void>((resolve) => clock.after(pauseMs * (0.5 + 0.5 * random()), resolve))
    }
  }

  private hear(word: WatchWord): void {
    const version = (word.object as { metadata?: { resourceVersion?: unknown } } | null)?.metadata?.resourceVersion
    if (typeof version === 'string' && version !== '') this.resourceVersion = version
    if (word.type !== 'BOOKMARK') this.deps.onWord(word)
  }
}
