/**
 * Serves what the endpoint files of one directory say. A file that is broken keeps its last good content; a file that
 * is removed takes its service with it; a directory that cannot be read changes nothing but makes the data old.
 */
import { watch } from 'node:fs'
import type { Dirent, FSWatcher } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { endlessFile, isEndless } from '../../contracts/endless-file.ts'
import { endpointId, serviceKey } from '../../contracts/endpoint.ts'
import type { EndpointSet, ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { describeError, MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryProblem,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { maxEndpointFileBytes } from './endpoint-file.ts'
import type { EndpointFile } from './endpoint-file.ts'
import type { ReadEndpoints } from './endpoint-file-reader.ts'

export interface FileAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Absolute path; may appear later. */
  readonly directory: string
  /** Loopback endpoints are refused without it. */
  readonly allowLoopback: boolean
  /** The directory is read again at least this often, in case a notification was lost; ms, default 5000. */
  readonly pollMs?: number
  /**
   * A file that lost endpoints is looked at again after this time, because it may have been seen half written; ms,
   * default 1000.
   */
  readonly confirmAfterMs?: number
}

/** Files beyond this number, in order of name, are not read. */
const maxEndpointFiles = 10_000
/** An editor or a copy makes several notifications out of one change. */
const settleMs = 30
const defaultPollMs = 5000
const defaultConfirmAfterMs = 1000
/** A file whose reading was cut short is not read again before, unless it changes: it may cost seconds each time. */
const unreadRestMs = 60_000
const endpointFileName = /^[^.].*\.(ya?ml|json)$/i

interface KnownFile {
  /** Size, time and inode of what was read last; another one is read again. */
  readonly stamp: string
  /** The last good content. */
  readonly content: EndpointFile | undefined
  /** Why the present content is not used. */
  readonly problems: readonly string[]
  /** Set where nothing is known about what is in the file: then it is read again, changed or not; monotonic ms. */
  readonly readAgainAt?: number
}

interface FileWatch {
  readonly listeners: Set<EndpointListener>
  set: EndpointSet | undefined
  /** What the set was made of, undefined = no file: the same object again is no news. */
  file: EndpointFile | undefined
  version: number
  /** When endpoints were missed first that no second look has missed yet; monotonic ms. */
  doubtedAt: number | undefined
}

export class FileAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'file'
  readonly config = undefined
  private readonly settings: FileAdapterConfig
  private readonly deps: AdapterDeps
  private readonly readEndpoints: ReadEndpoints
  private readonly closing = new AbortController()
  private files = new Map<string, KnownFile>()
  private services = new Map<ServiceKey, EndpointFile>()
  private readonly watches = new Map<ServiceKey, FileWatch>()
  private watcher: FSWatcher | undefined
  private cancelPoll: (() => void) | undefined
  private cancelSoon: (() => void) | undefined
  private cancelConfirm: (() => void) | undefined
  private reading: Promise<void> | undefined
  private isDirty = false
  /** Files that changed since the last look; undefined = any of them may have. */
  private changed: Set<string> | undefined
  private isClosed = false
  private problem: RegistryProblem | undefined
  private isStale = false
  private lastHeardAt = 0

  constructor(config: FileAdapterConfig, deps: AdapterDeps, readEndpoints: ReadEndpoints) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.readEndpoints = readEndpoints
  }

  start(): void {
    this.read()
    this.pollLater()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    const key = serviceKey(service)
    const present = this.watches.get(key) ?? newFileWatch()
    this.watches.set(key, present)
    const own: EndpointListener = {
      onEndpoints: (...word) => listener.onEndpoints(...word),
      onStale: (problem) => listener.onStale(problem),
    }
    present.listeners.add(own)
    setImmediate(() => {
      if (!present.listeners.has(own)) return
      if (this.lastHeardAt > 0) {
        if (present.set === undefined) this.publish(key, present)
        else guarded(this.deps, () => own.onEndpoints(present.set!, false))
      }
      const problem = this.problem
      if (this.isStale && problem !== undefined) guarded(this.deps, () => own.onStale(problem))
    })
    return {
      unsubscribe: () => {
        if (present.listeners.delete(own) && present.listeners.size === 0) this.watches.delete(key)
      },
    }
  }

  register(_registration: Registration): RegistrationHandle {
    throw new MeshError(
      'E_CONFIG_INVALID',
      `registry ${this.name}: it is a directory of files, nothing can be registered in it; name another registry in services.d or write a file`,
    )
  }

  listServices(limit: number): Promise<ServiceKey[]> {
    return Promise.resolve([...this.services.keys()].sort().slice(0, limit))
  }

  status(): RegistryStatus {
    return {
      name: this.name,
      type: this.type,
      connected: this.lastHeardAt > 0 && !this.isStale,
      server: undefined,
      problem: this.problem,
      subscriptions: this.watches.size,
      registrations: 0,
      lastHeardAt: this.lastHeardAt,
    }
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.closing.abort()
    this.cancelPoll?.()
    this.cancelSoon?.()
    this.cancelConfirm?.()
    this.watcher?.close()
    this.watches.clear()
    await this.reading
  }

  /** Of all files, not only of those that are known to have changed. */
  private readEach(): void {
    this.changed = undefined
    this.read()
  }

  private read(): void {
    if (this.isClosed) return
    if (this.reading !== undefined) {
      this.isDirty = true
      return
    }
    this.isDirty = false
    this.reading = this.readAll()
      .catch((error: unknown) => this.lost(error))
      .finally(() => {
        this.reading = undefined
        if (this.isDirty) this.read()
      })
  }

  private pollLater(): void {
    this.cancelPoll = this.deps.clock.after(this.settings.pollMs ?? defaultPollMs, () => {
      this.readEach()
      this.pollLater()
    })
  }

  private noticed(name: string | null): void {
    if (name === null) this.changed = undefined
    else this.changed?.add(name)
    this.cancelSoon ??= this.deps.clock.after(settleMs, () => {
      this.cancelSoon = undefined
      this.read()
    })
  }

  private async readAll(): Promise<void> {
    this.watchDirectory()
    const { changed } = this
    this.changed = new Set()
    let entries: Dirent[]
    try {
      entries = await readdir(this.settings.directory, { withFileTypes: true })
    } catch (error) {
      this.changed = undefined
      throw error
    }
    // what a link leads to may be another file now, as in a mounted ConfigMap
    const links = new Set(entries.flatMap((entry) => (entry.isSymbolicLink() ? [entry.name] : [])))
    const names = entries.flatMap(({ name }) => (endpointFileName.test(name) ? [name] : [])).sort()
    const files = new Map<string, KnownFile>()
    for (const name of names.slice(0, maxEndpointFiles)) {
      if (this.isClosed) return
      const known = this.files.get(name)
      const isAsBefore = known !== undefined && changed?.has(name) === false && !links.has(name)
      files.set(name, isAsBefore ? known : await this.readOne(name))
    }
    if (names.length > maxEndpointFiles)
      this.complain(
        `${names[maxEndpointFiles]}: ${names.length} files, allowed ${maxEndpointFiles}; this one and later ones are not read`,
      )
    if (this.isClosed) return
    this.files = files
    this.lastHeardAt = this.deps.clock.wall()
    this.use(files)
  }

  private async readOne(name: string): Promise<KnownFile> {
    const path = join(this.settings.directory, name)
    const before = this.files.get(name)
    const now = this.deps.clock.monotonic()
    let stamp = ''
    let problems: readonly string[]
    let unread: Pick<KnownFile, 'readAgainAt'> = {}
    try {
      const found = await stat(path)
      stamp = `${found.ino} ${found.size} ${found.mtimeMs}`
      if (before?.stamp === stamp && now < (before.readAgainAt ?? Infinity)) return before
      if (isEndless(found)) problems = [`${name}: ${endlessFile}`]
      else if (found.size > maxEndpointFileBytes)
        problems = [`${name}: ${found.size} bytes, allowed ${maxEndpointFileBytes}`]
      else {
        const source = await readFile(path, 'utf8')
        const { allowLoopback } = this.settings
        const result = await this.readEndpoints({ name, source, allowLoopback }, this.closing.signal)
        if (result.ok) {
          if (before !== undefined && before.problems.length > 0)
            this.deps.log.info({ registry: this.name }, `${name}: good again`)
          return { stamp, content: result.file, problems: [] }
        }
        problems = result.problems
      }
    } catch (error) {
      problems = [`${name}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]
      unread = { readAgainAt: now + unreadRestMs }
      if (this.isClosed || before?.problems[0] === problems[0])
        return { stamp, content: before?.content, problems, ...unread }
    }
    this.deps.metrics.count('registry_files_refused', { registry: this.name })
    this.deps.log.warn(
      { registry: this.name, problems },
      `${problems[0]}; ${before?.content === undefined ? 'the file is not used' : 'its last good content stays in use'}`,
    )
    return { stamp, content: before?.content, problems, ...unread }
  }

  private use(files: ReadonlyMap<string, KnownFile>): void {
    const services = new Map<ServiceKey, EndpointFile>()
    const owners = new Map<ServiceKey, string>()
    const problems: string[] = []
    for (const [name, { content, problems: own }] of files) {
      problems.push(...own)
      if (content === undefined) continue
      const owner = owners.get(content.service)
      if (owner !== undefined) {
        problems.push(`${name}: service ${content.service} is in ${owner} already; this file is not used`)
        continue
      }
      owners.set(content.service, name)
      services.set(content.service, content)
    }
    this.services = services
    const wasStale = this.isStale
    this.isStale = false
    const message = problems.join('; ').slice(0, 2000)
    if (message !== (this.problem?.message ?? '') && message !== '') this.complain(message)
    if (message === '') this.problem = undefined
    for (const [key, watched] of this.watches) {
      if (wasStale || this.isNews(key, watched)) {
        this.publish(key, watched)
        continue
      }
      watched.file = services.get(key)
      if (problems.length === 0) this.confirm(watched)
    }
    if (this.isDoubting()) this.confirmLater()
  }

  private isDoubting(): boolean {
    for (const { doubtedAt } of this.watches.values()) if (doubtedAt !== undefined) return true
    return false
  }

  private confirmLater(): void {
    this.cancelConfirm?.()
    this.cancelConfirm = this.deps.clock.after(this.settings.confirmAfterMs ?? defaultConfirmAfterMs, () =>
      this.readEach(),
    )
  }

  /** The second look found the same. */
  private confirm(watched: FileWatch): void {
    const { doubtedAt, set } = watched
    const pauseMs = this.settings.confirmAfterMs ?? defaultConfirmAfterMs
    // timers may come a little early
    if (doubtedAt === undefined || set === undefined || this.deps.clock.monotonic() - doubtedAt < pauseMs - 5) return
    watched.doubtedAt = undefined
    for (const listener of watched.listeners) guarded(this.deps, () => listener.onEndpoints(set, true))
  }

  private isNews(key: ServiceKey, watched: FileWatch): boolean {
    const now = this.services.get(key)
    const before = watched.set
    if (before === undefined) return true
    return (
      now !== watched.file &&
      (!isDeepStrictEqual(now?.endpoints ?? [], before.endpoints) ||
        (now?.protectThreshold ?? 0) !== before.protectThreshold)
    )
  }

  private publish(key: ServiceKey, watched: FileWatch): void {
    const file = this.services.get(key)
    const before = watched.set
    if (this.isNews(key, watched)) watched.version++
    watched.file = file
    watched.set = {
      service: key,
      version: watched.version,
      endpoints: file?.endpoints ?? [],
      protectThreshold: file?.protectThreshold ?? 0,
      registry: this.name,
      confirmedAt: this.lastHeardAt,
    }
    const { set } = watched
    const ids = new Set(set.endpoints.map(endpointId))
    if (before?.endpoints.some((endpoint) => !ids.has(endpointId(endpoint))))
      watched.doubtedAt = this.deps.clock.monotonic()
    for (const listener of watched.listeners) guarded(this.deps, () => listener.onEndpoints(set, false))
  }

  private watchDirectory(): void {
    if (this.watcher !== undefined || this.isClosed) return
    try {
      const watcher = watch(this.settings.directory, (_event, name) => this.noticed(name))
      this.watcher = watcher
      watcher.on('error', () => this.unwatch(watcher))
    } catch {
      // it is not there (yet): the next poll tries again
    }
  }

  private unwatch(watcher: FSWatcher): void {
    watcher.close()
    if (this.watcher === watcher) this.watcher = undefined
  }

  private lost(error: unknown): void {
    if (this.isClosed) return
    // a directory that comes back is another one
    if (this.watcher !== undefined) this.unwatch(this.watcher)
    if (this.isStale) return
    this.isStale = true
    const words = new MeshError(
      'E_REGISTRY_UNREACHABLE',
      `${this.settings.directory}: cannot be read; what is known stays in use`,
      { cause: error },
    )
    this.problem = { code: words.code, message: describeError(words), at: this.deps.clock.wall() }
    this.deps.log.warn({ registry: this.name, code: words.code }, describeError(words))
    for (const { listeners } of this.watches.values())
      for (const listener of listeners) guarded(this.deps, () => listener.onStale(this.problem!))
  }

  private complain(message: string): void {
    this.problem = { code: 'E_CONFIG_INVALID', message, at: this.deps.clock.wall() }
  }
}

function newFileWatch(): FileWatch {
  return { listeners: new Set(), set: undefined, file: undefined, version: 0, doubtedAt: undefined }
}

function guarded(deps: AdapterDeps, call: () => void): void {
  try {
    call()
  } catch (error) {
    deps.log.error({ code: 'E_INTERNAL' }, `a listener failed: ${describeError(error)}`)
  }
}
