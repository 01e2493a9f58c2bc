/**
 * The EndpointSlices of one Kubernetes namespace. Slices of services that nobody wants are not kept.
 */
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { readSlice, serviceLabel } from './endpoint-slices.ts'
import type { EndpointSlice } from './endpoint-slices.ts'
import { slicesOf } from './kubernetes-api.ts'
import type { KubernetesApi, WatchWord } from './kubernetes-api.ts'
import { ObjectWatch } from './object-watch.ts'

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
/**
 * Slices of one service; Kubernetes puts 100 endpoints into one, so that this is far above every bound on endpoints.
 */
const maxSlices = 2000

export class NamespaceWatch {
  readonly namespace: string
  private readonly deps: NamespaceWatchDeps
  /** Wanted services and their slices by name. */
  private readonly wanted = new Map<string, Map<string, EndpointSlice>>()
  /** Changes that the watch told of, by service: a list that was asked for before one may be older. */
  private readonly changes = new Map<string, number>()
  /** Wanted while a list came in, of which pages may have been thrown away already. */
  private readonly late = new Set<string>()
  private readonly watch: ObjectWatch

  constructor(namespace: string, deps: NamespaceWatchDeps) {
    this.namespace = namespace
    this.deps = deps
    this.watch = new ObjectWatch({
      api: deps.api,
      clock: deps.clock,
      random: deps.random,
      collection: () => slicesOf(namespace),
      watchMs: deps.watchMs,
      isWanted: (item) => this.wanted.has(labelled(item) ?? ''),
      onList: (items) => this.listed(items),
      onWord: (word) => this.hear(word),
      onFailure: (error) => this.failed(error),
    })
  }

  get size(): number {
    return this.wanted.size
  }

  want(service: string): void {
    if (this.wanted.has(service)) return
    this.wanted.set(service, new Map())
    // the watch runs already: only this one is listed
    if (this.watch.isListed) this.again(service)
    else if (this.watch.signal !== undefined) this.late.add(service)
  }

  release(service: string): void {
    this.wanted.delete(service)
    this.changes.delete(service)
    this.late.delete(service)
  }

  /** Lists one service anew. */
  again(service: string): void {
    const { signal } = this.watch
    if (signal === undefined) return
    const changes = this.changes.get(service) ?? 0
    this.deps.api.list(slicesOf(this.namespace), `${serviceLabel}=${service}`, signal).then(
      ({ items }) => {
        const slices = this.wanted.get(service)
        if (slices === undefined || signal.aborted) return
        if ((this.changes.get(service) ?? 0) !== changes) {
          this.again(service)
          return
        }
        this.replace(service, slices, items)
        this.deps.onSlices(service, slices.values())
      },
      (error: unknown) => {
        if (signal.aborted) return
        this.failed(error as MeshError)
        this.deps.clock.after(retryMs, () => {
          if (!signal.aborted && this.wanted.has(service)) this.again(service)
        })
      },
    )
  }

  /** Lists and watches until `stop()`. */
  start(): void {
    this.watch.start()
  }

  stop(): void {
    this.watch.stop()
  }

  private listed(items: readonly unknown[]): void {
    const byService = new Map<string, unknown[]>()
    for (const item of items) {
      const service = labelled(item)
      if (service === undefined || !this.wanted.has(service)) continue
      const own = byService.get(service) ?? []
      own.push(item)
      byService.set(service, own)
    }
    for (const [service, slices] of this.wanted) {
      if (this.late.has(service)) {
        this.again(service)
        continue
      }
      this.replace(service, slices, byService.get(service) ?? [])
      this.deps.onSlices(service, slices.values())
    }
    this.late.clear()
  }

  /** What makes no sense keeps its last good content, as long as it is there at all. */
  private replace(service: string, slices: Map<string, EndpointSlice>, items: readonly unknown[]): void {
    const before = new Map(slices)
    slices.clear()
    for (const item of items) {
      if (slices.size >= maxSlices) break
      const slice = readSlice(item)
      if (slice !== undefined) slices.set(slice.name, slice)
      else {
        const name = (item as { metadata?: { name?: unknown } } | null)?.metadata?.name
        const known = typeof name === 'string' ? before.get(name) : undefined
        if (known !== undefined) slices.set(known.name, known)
        this.refuse(service, name)
      }
    }
  }

  private hear({ type, object }: WatchWord): void {
    const service = labelled(object)
    const slices = service === undefined ? undefined : this.wanted.get(service)
    if (service === undefined || slices === undefined) return
    const { name } = (object as { metadata: { name?: unknown } }).metadata
    const slice = readSlice(object)
    const isTooMuch = slices.size >= maxSlices && slice !== undefined && !slices.has(slice.name)
    if ((slice === undefined || isTooMuch) && type !== 'DELETED') {
      this.refuse(service, name)
      return
    }
    this.changes.set(service, (this.changes.get(service) ?? 0) + 1)
    if (type !== 'DELETED' && slice !== undefined) slices.set(slice.name, slice)
    else if (typeof name === 'string') slices.delete(name)
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

/** The service that a slice belongs to, whatever else it holds. */
function labelled(object: unknown): string | undefined {
  const service = (object as { metadata?: { labels?: Record<string, unknown> | null } | null } | null)?.metadata
    ?.labels?.[serviceLabel]
  return typeof service === 'string' ? service : undefined
}
