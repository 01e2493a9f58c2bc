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
  /** The namespace was read; told before what it says of each service. */
  onListed(): void
  /** All slices of a wanted service, after a list or a change. */
  onSlices(service: string, slices: Iterable<EndpointSlice>): void
  /** This service cannot be read although a server answers; it is asked again. */
  onRefused(service: string, problem: MeshError): void
  /** The namespace cannot be read although a server answers. */
  onProblem(problem: MeshError): void
  /** Something failed that may be the server. */
  onTrouble(): void
}

const retryMs = 500
/** A list that a change overtook is asked for again so much later, each time twice as late, ms. */
const leastRepeatMs = 100
const mostRepeatMs = 5000
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
  /** What takes back a question that is asked again later, by service. */
  private readonly repeats = new Map<string, () => void>()
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
      onFailure: (error) => this.failed(error, () => deps.onProblem(error)),
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
    this.repeats.get(service)?.()
    this.repeats.delete(service)
  }

  /** Lists one service anew. */
  again(service: string, repeatMs = leastRepeatMs): void {
    const { signal } = this.watch
    if (signal === undefined) return
    const changes = this.changes.get(service) ?? 0
    this.deps.api.list(slicesOf(this.namespace), `${serviceLabel}=${service}`, signal).then(
      ({ items }) => {
        const slices = this.wanted.get(service)
        if (slices === undefined || signal.aborted) return
        if ((this.changes.get(service) ?? 0) !== changes) {
          this.later(service, signal, repeatMs, Math.min(mostRepeatMs, 2 * repeatMs))
          return
        }
        this.replace(service, slices, items)
        this.deps.onSlices(service, slices.values())
      },
      (error: unknown) => {
        if (signal.aborted) return
        this.failed(error as MeshError, () => this.deps.onRefused(service, error as MeshError))
        this.later(service, signal, retryMs, leastRepeatMs)
      },
    )
  }

  /** However many asked for a service, one question waits. */
  private later(service: string, signal: AbortSignal, ms: number, repeatMs: number): void {
    if (!this.wanted.has(service)) return
    this.repeats.get(service)?.()
    const cancel = this.deps.clock.after(ms, () => {
      this.repeats.delete(service)
      if (!signal.aborted) this.again(service, repeatMs)
    })
    this.repeats.set(service, cancel)
  }

  /** Lists and watches until `stop()`. */
  start(): void {
    this.watch.start()
  }

  stop(): void {
    this.watch.stop()
  }

  private listed(items: readonly unknown[]): void {
    this.deps.onListed()
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
    const name = (object as { metadata?: { name?: unknown } | null } | null)?.metadata?.name
    if (type === 'MODIFIED' && typeof name === 'string') this.takeFromOthers(name, service)
    const slices = service === undefined ? undefined : this.wanted.get(service)
    if (service === undefined || slices === undefined) return
    const slice = readSlice(object)
    const isTooMuch = slices.size >= maxSlices && slice !== undefined && !slices.has(slice.name)
    if ((slice === undefined || isTooMuch) && type !== 'DELETED') {
      this.refuse(service, name)
      return
    }
    if (type !== 'DELETED' && slice !== undefined) slices.set(slice.name, slice)
    else if (typeof name === 'string') slices.delete(name)
    this.changed(service, slices)
  }

  /** A slice whose label names another service now, or none, is no longer of the one before. */
  private takeFromOthers(name: string, service: string | undefined): void {
    for (const [other, slices] of this.wanted) if (other !== service && slices.delete(name)) this.changed(other, slices)
  }

  private changed(service: string, slices: ReadonlyMap<string, EndpointSlice>): void {
    this.changes.set(service, (this.changes.get(service) ?? 0) + 1)
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

  private failed(error: MeshError, refuse: () => void): void {
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') this.deps.onTrouble()
    else refuse()
  }
}

/** The service that a slice belongs to, whatever else it holds. */
function labelled(object: unknown): string | undefined {
  const service = (object as { metadata?: { labels?: Record<string, unknown> | null } | null } | null)?.metadata
    ?.labels?.[serviceLabel]
  return typeof service === 'string' ? service : undefined
}
