/**
 * The instances of one service, read anew after each event: ZooKeeper's watches fire once and say only that something
 * changed. An instance whose content has become nonsense keeps its last good one; a child that never made sense is left
 * out, counted, and named once.
 */
import type { Endpoint, ServiceKey } from '../../contracts/endpoint.ts'
import { describeError } from '../../contracts/errors.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import type { Layout } from './layouts/layout.ts'
import type { ZooKeeperNodes } from './nodes.ts'

export interface ServiceWatchDeps extends Pick<AdapterDeps, 'clock' | 'log' | 'metrics'> {
  readonly registry: string
  readonly layout: Layout
  readonly nodes: ZooKeeperNodes
  /** More children than this are not read. */
  readonly maxEndpoints: number
  onEndpoints(key: ServiceKey, endpoints: Iterable<Endpoint>): void
  /** The service cannot be read although a server answers. */
  onProblem(key: ServiceKey, problem: MeshError): void
}

/** Contents that are asked for at the same time. */
const maxQuestions = 64
const retryMs = 1000
const deniedRetryMs = 10_000
/** Of a layout that says everything in the name. */
const noData = Buffer.alloc(0)

interface Child {
  endpoint: Endpoint | 'other' | undefined
  /** Its content must be read (again). */
  isDirty: boolean
}

export class ServiceWatch {
  readonly key: ServiceKey
  readonly directory: string
  private readonly service: string
  private readonly deps: ServiceWatchDeps
  private children = new Map<string, Child>()
  /** The names of the children must be read (again). */
  private isListOld = true
  private isReading = false
  private isDirty = false
  private isClosed = false
  private cancelRetry: (() => void) | undefined

  constructor(key: ServiceKey, service: string, deps: ServiceWatchDeps) {
    this.key = key
    this.service = service
    this.deps = deps
    this.directory = deps.layout.directoryOf(service)
  }

  /** Everything must be read again: a connection has begun. */
  refresh(): void {
    this.isListOld = true
    for (const child of this.children.values()) child.isDirty = true
    this.read()
  }

  /**
   * Something changed at the directory, or at one child of it: then only that one is read, for who comes or goes is
   * told of the directory, too.
   */
  changed(child: string | undefined): void {
    const known = child === undefined ? undefined : this.children.get(child)
    if (known === undefined) this.isListOld = true
    else known.isDirty = true
    this.read()
  }

  close(): void {
    this.isClosed = true
    this.cancelRetry?.()
  }

  read(): void {
    if (this.isClosed) return
    if (this.isReading) {
      this.isDirty = true
      return
    }
    this.cancelRetry?.()
    this.isReading = true
    this.isDirty = false
    this.readAll()
      .catch((error: unknown) => this.failed(error as MeshError))
      .finally(() => {
        this.isReading = false
        if (this.isDirty) this.read()
      })
  }

  private async readAll(): Promise<void> {
    if (this.isListOld) await this.readNames()
    const dirty = [...this.children].flatMap(([name, { isDirty }]) => (isDirty ? [name] : []))
    for (let start = 0; start < dirty.length; start += maxQuestions)
      await Promise.all(dirty.slice(start, start + maxQuestions).map((name) => this.readChild(name)))
    // told also where it is old again by now: instances that change without end must not keep the news from anybody
    if (!this.isClosed) this.deps.onEndpoints(this.key, this.endpoints())
  }

  private async readNames(): Promise<void> {
    const { nodes, maxEndpoints, registry } = this.deps
    // as with a child, an event from here on is newer than the answer
    this.isListOld = false
    let names: string[]
    try {
      names = [...new Set(await nodes.children(this.directory))]
    } catch (error) {
      this.isListOld = true
      throw error
    }
    if (names.length > maxEndpoints) {
      this.deps.metrics.count('registry_endpoints_cut', { registry }, names.length - maxEndpoints)
      this.deps.log.warn(
        { registry, service: this.key },
        `${this.directory}: ${names.length} instances, allowed ${maxEndpoints}; the others are left out`,
      )
      names.sort().length = maxEndpoints
    }
    this.children = new Map(
      names.map((name) => [name, this.children.get(name) ?? { endpoint: undefined, isDirty: true }]),
    )
  }

  private async readChild(name: string): Promise<void> {
    const child = this.children.get(name)!
    // an event from here on is about something newer than the answer, even one that is read together with it
    child.isDirty = false
    const { layout, nodes } = this.deps
    try {
      const data = layout.readsData ? await nodes.data(`${this.directory}/${name}`) : noData
      // it went between the two questions; the directory's own watch tells
      if (data === undefined) this.children.delete(name)
      else this.take(name, child, layout.read(this.service, name, data))
    } catch (error) {
      child.isDirty = true
      throw error
    }
  }

  private take(name: string, child: Child, read: Endpoint | 'other' | undefined): void {
    if (read !== undefined) {
      child.endpoint = read
      return
    }
    const { registry, metrics, log } = this.deps
    metrics.count('registry_entries_refused', { registry })
    log.warn(
      { registry, service: this.key, node: `${this.directory}/${name}`.slice(0, 300) },
      child.endpoint === undefined
        ? `${this.key}: an instance makes no sense and is left out; the others are used`
        : `${this.key}: an instance makes no sense any more; its last good content stays in use`,
    )
  }

  private *endpoints(): Generator<Endpoint> {
    for (const { endpoint } of this.children.values())
      if (endpoint !== undefined && endpoint !== 'other') yield endpoint
  }

  private failed(error: MeshError): void {
    if (this.isClosed) return
    // without a session the next one reads again
    if (error.code === 'E_REGISTRY_UNREACHABLE') return
    this.deps.log.warn(
      { registry: this.deps.registry, service: this.key, code: error.code },
      `${this.key}: cannot be read: ${describeError(error)}; what is known stays in use`,
    )
    this.deps.onProblem(this.key, error)
    const pauseMs = error.code === 'E_REGISTRY_DENIED' ? deniedRetryMs : retryMs
    this.cancelRetry = this.deps.clock.after(pauseMs, () => this.read())
  }
}
