/**
 * Endpoints of ServiceEntries. Literal addresses are there at once; names are looked up, and again at the end of the
 * time that the answer gives. The last good addresses stay while a name cannot be looked up, and also when it is said
 * to be gone: an entry that names it has not been taken back.
 */
import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import { describeError } from '../../../../contracts/errors.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { DeclaredService, EntrySetBuilder } from '../rules/types.ts'

export interface ResolvedName {
  readonly addresses: readonly string[]
  /** How long they may be used. */
  readonly ttlMs: number
}

/** Bounds of the time between two looks at a name, ms. */
export interface RefreshBounds {
  readonly minRefresh: number
  readonly maxRefresh: number
}

export interface DeclaredDeps {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<AdapterMetrics, 'count'>
  readonly build: EntrySetBuilder
  readonly refresh: RefreshBounds
  /** All addresses of a name, sorted. Rejects when it has none, or nobody can say. */
  readonly resolve: (host: string) => Promise<ResolvedName>
  declared(key: ServiceKey): DeclaredService | undefined
  isNeeded(key: ServiceKey): boolean
  publish(key: ServiceKey, set: EndpointSet | undefined): void
}

/** After a failure a name is looked up again so soon, and each time later. */
const firstRetryMs = 1000
const maxRetryMs = 30_000

interface Host {
  addresses: readonly string[] | undefined
  /** Looks in a row that failed. */
  failures: number
  cancel: (() => void) | undefined
}

interface Entry {
  readonly service: DeclaredService
  readonly hosts: ReadonlyMap<string, Host>
  /** Names that nothing was heard of yet. */
  readonly awaited: Set<string>
  isPublished: boolean
}

export class DeclaredServices {
  private readonly deps: DeclaredDeps
  private readonly entries = new Map<ServiceKey, Entry>()
  private version = 0

  constructor(deps: DeclaredDeps) {
    this.deps = deps
  }

  /** Needed, changed or let go: brings the entry in line with the rules as they are now. */
  changed(key: ServiceKey): void {
    const service = this.deps.isNeeded(key) ? this.deps.declared(key) : undefined
    const before = this.entries.get(key)
    for (const host of before?.hosts.values() ?? []) host.cancel?.()
    if (service === undefined) {
      if (!this.entries.delete(key)) return
      this.deps.publish(key, undefined)
      return
    }
    const names = new Set(service.endpoints.map(({ host }) => host).filter((host) => isIP(host) === 0))
    const hosts = new Map<string, Host>()
    for (const name of names) {
      const { addresses, failures = 0 } = before?.hosts.get(name) ?? {}
      hosts.set(name, { addresses, failures, cancel: undefined })
    }
    const entry: Entry = { service, hosts, awaited: names, isPublished: false }
    this.entries.set(key, entry)
    const isKnown = [...hosts.values()].some(({ addresses }) => addresses !== undefined)
    if (isKnown || names.size === 0) this.publish(key, entry)
    for (const [name, host] of hosts) void this.look(key, entry, name, host)
  }

  close(): void {
    for (const { hosts } of this.entries.values()) for (const host of hosts.values()) host.cancel?.()
    this.entries.clear()
  }

  private async look(key: ServiceKey, entry: Entry, name: string, host: Host): Promise<void> {
    const found = await this.deps.resolve(name).catch((error: unknown) => describeError(error))
    // meanwhile the rules have changed, or nobody needs it any more
    if (this.entries.get(key) !== entry) return
    const { clock, log, metrics, refresh } = this.deps
    let pauseMs: number
    let isNews = false
    metrics.count('dns_lookups', { registry: 'rules', result: typeof found === 'string' ? 'failed' : 'ok' })
    if (typeof found === 'string') {
      // once per loss, not per attempt
      if (host.failures === 0)
        log.warn(
          { service: key, name },
          `${key}: ${name} does not resolve: ${found}; ` +
            `${host.addresses === undefined ? 'it has no address yet' : 'its last addresses stay in use'}, trying on`,
        )
      pauseMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(host.failures++, 8))
    } else {
      if (host.failures > 0) log.info({ service: key, name }, `${key}: ${name} resolves again`)
      isNews = !isDeepStrictEqual(found.addresses, host.addresses)
      host.addresses = found.addresses
      host.failures = 0
      pauseMs = Math.min(Math.max(found.ttlMs, refresh.minRefresh), refresh.maxRefresh)
    }
    entry.awaited.delete(name)
    // a name that is slow to answer keeps nobody waiting; that nothing was found is an answer, too
    if (isNews || (!entry.isPublished && entry.awaited.size === 0)) this.publish(key, entry)
    host.cancel = clock.after(pauseMs, () => void this.look(key, entry, name, host))
  }

  private publish(key: ServiceKey, entry: Entry): void {
    entry.isPublished = true
    const addresses = new Map<string, readonly string[]>()
    for (const [name, host] of entry.hosts) if (host.addresses !== undefined) addresses.set(name, host.addresses)
    this.deps.publish(key, this.deps.build(entry.service, addresses, ++this.version, this.deps.clock.wall()))
  }
}
