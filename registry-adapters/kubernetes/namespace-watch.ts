/**
 * The EndpointSlices of one Kubernetes namespace: listed, then watched from there, listed anew when the server has forgotten where we were. Slices of services that nobody wants are not kept.
 */
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { readSlice, serviceLabel, serviceOf } from './endpoint-slices.ts'
import type { EndpointSlice } from './endpoint-slices.ts'
import type { KubernetesApi, WatchWord } from './kubernetes-api.ts'

export interface NamespaceWatchDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log' | 'metrics'> {
  readonly registry: string
  readonly api: KubernetesApi
  readonly watchMs: number
  /** All slices of a wanted service, after a list or a change. */
  onSlices(service: string, slices: Iterable<EndpointSlice>): void
  /** The namespace cannot be read although a server answers. */
  onProblem(problem: MeshError): void
  /** Something failed that may be the server. */
  onTrouble(): void
}

const retryMs = 500
const deniedRetryMs = 10_000

export class NamespaceWatch {
  readonly namespace: string
  private readonly deps: NamespaceWatchDeps
  /** Wanted services and their slices by name. */
  private readonly wanted = new Map<string, Map<string, EndpointSlice>>()
  /** Changes that the watch told of, by service: a list that was asked for before one may be older. */
  private readonly changes = new Map<string, number>()
  private run: AbortController | undefined
  private resourceVersion = ''

  constructor(namespace: string, deps: NamespaceWatchDeps) {
    this.namespace = namespace
    this.deps = deps
  }

  get size(): number {
    return this.wanted.size
  }

  want(service: string): void {
    if (this.wanted.has(service)) return
    this.wanted.set(service, new Map())
    // the watch runs already: only this one is listed
    if (this.run !== undefined && this.resourceVersion !== '') this.again(service)
  }

  release(service: string): void {
    this.wanted.delete(service)
    this.changes.delete(service)
  }

  /** Lists one service anew. */
  again(service: string): void {
    const run = this.run
    if (run === undefined) return
    const changes = this.changes.get(service) ?? 0
    this.deps.api.list(this.namespace, `${serviceLabel}=${service}`, run.signal).then(
      ({ items }) => {
        const slices = this.wanted.get(service)
        if (slices === undefined || run.signal.aborted) return
        if ((this.changes.get(service) ?? 0) !== changes) {
          this.again(service)
          return
        }
        this.replace(service, slices, items)
        this.deps.onSlices(service, slices.values())
      },
      (error: unknown) => {
        if (run.signal.aborted) return
        this.failed(error as MeshError)
        this.deps.clock.after(retryMs, () => {
          if (!run.signal.aborted && this.wanted.has(service)) this.again(service)
        })
      },
    )
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
    while (!signal.aborted) {
      let pauseMs = 0
      try {
        if (this.resourceVersion === '') await this.list(signal)
        // never all agents at the same moment
        const lastMs = this.deps.watchMs * (0.75 + 0.5 * this.deps.random())
        await this.deps.api.watch(this.namespace, this.resourceVersion, lastMs, signal, (word) => this.hear(word))
      } catch (error) {
        if (signal.aborted) return
        const { code } = error as MeshError
        // whatever it was: what is known now is asked for, not guessed
        this.resourceVersion = ''
        pauseMs = code === 'E_REGISTRY_DENIED' ? deniedRetryMs : retryMs
        if (code !== 'E_REGISTRY_STALE') this.failed(error as MeshError)
      }
      if (pauseMs > 0)
        await new Promise<void>((resolve) => this.deps.clock.after(pauseMs * (0.5 + 0.5 * this.deps.random()), resolve))
    }
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { resourceVersion, items } = await this.deps.api.list(this.namespace, undefined, signal)
    if (signal.aborted) return
    const byService = new Map<string, unknown[]>()
    for (const item of items) {
      const labels = (item as { metadata?: { labels?: Record<string, string> } } | null)?.metadata?.labels
      const service = labels?.[serviceLabel]
      if (service === undefined || !this.wanted.has(service)) continue
      const own = byService.get(service) ?? []
      own.push(item)
      byService.set(service, own)
    }
    this.resourceVersion = resourceVersion
    for (const [service, slices] of this.wanted) {
      this.replace(service, slices, byService.get(service) ?? [])
      this.deps.onSlices(service, slices.values())
    }
  }

  /** What makes no sense keeps its last good content, as long as it is there at all. */
  private replace(service: string, slices: Map<string, EndpointSlice>, items: readonly unknown[]): void {
    const before = new Map(slices)
    slices.clear()
    for (const item of items) {
      const slice = readSlice(item)
      if (slice !== undefined) slices.set(slice.metadata.name, slice)
      else {
        const name = (item as { metadata?: { name?: unknown } } | null)?.metadata?.name
        const known = typeof name === 'string' ? before.get(name) : undefined
        if (known !== undefined) slices.set(known.metadata.name, known)
        this.refuse(service, name)
      }
    }
  }

  private hear({ type, object }: WatchWord): void {
    const version = (object as { metadata?: { resourceVersion?: unknown } } | null)?.metadata?.resourceVersion
    if (typeof version === 'string' && version !== '') this.resourceVersion = version
    if (type === 'BOOKMARK') return
    const labels = (object as { metadata?: { labels?: Record<string, string> } } | null)?.metadata?.labels
    const service = labels?.[serviceLabel]
    const slices = service === undefined ? undefined : this.wanted.get(service)
    if (service === undefined || slices === undefined) return
    const slice = readSlice(object)
    if (slice === undefined || serviceOf(slice) !== service) {
      this.refuse(service, (object as { metadata?: { name?: unknown } }).metadata?.name)
      return
    }
    this.changes.set(service, (this.changes.get(service) ?? 0) + 1)
    if (type === 'DELETED') slices.delete(slice.metadata.name)
    else slices.set(slice.metadata.name, slice)
    this.deps.onSlices(service, slices.values())
  }

  private refuse(service: string, name: unknown): void {
    const { registry, metrics, log } = this.deps
    metrics.count('registry_entries_refused', { registry })
    log.warn(
      { registry, service, slice: typeof name === 'string' ? name.slice(0, 253) : undefined },
      `${this.namespace}/${service}: an endpoint slice makes no sense; its last good content stays in use`,
    )
  }

  private failed(error: MeshError): void {
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') this.deps.onTrouble()
    else this.deps.onProblem(error)
  }
}
