/**
 * etcd as a registry: one list per service that is wanted, one watch over the whole prefix, applications as keys with
 * leases.
 */
import type { Endpoint, ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
import { lookedAtShare, type AdapterDeps } from '../../contracts/registry-adapter.ts'
import { HttpClient } from '../http/http-client.ts'
import { OneGroup } from '../one-group.ts'
import { readPlainInstance } from '../plain-instance.ts'
import { PulsedAdapter } from '../pulsed-adapter.ts'
import type { EtcdAdapterConfig } from './config.ts'
import { EtcdApi } from './etcd-api.ts'
import type { KeyValue, WatchWord } from './etcd-api.ts'
import { InstanceDriver } from './instance-driver.ts'

const watchRetryMs = 500
/** Lists that are asked for at the same time. */
const maxQuestions = 32
/** Changes that are kept while a service is listed; with more of them it is listed again. */
const maxMissed = 10_000

interface Listed {
  readonly service: string
  /** By key. */
  readonly instances: Map<string, Endpoint>
  /** Changes that came while the list was asked for. */
  isListing: boolean
  /** Somebody wants it listed anew since that list was asked for, which may be older than what the watch says now. */
  isOutdated: boolean
  missed: WatchWord['events'][number][]
}

export class EtcdAdapter extends PulsedAdapter {
  readonly type = 'etcd'
  private readonly settings: EtcdAdapterConfig
  private readonly http: HttpClient
  private readonly api: EtcdApi
  private readonly naming: OneGroup
  private readonly listed = new Map<ServiceKey, Listed>()
  private waiting: ServiceKey[] = []
  private questions = 0
  private watch: AbortController | undefined
  private isClosed = false

  constructor(config: EtcdAdapterConfig, deps: AdapterDeps) {
    const http = new HttpClient({
      servers: config.servers,
      tls: config.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => (api.token === undefined ? {} : { authorization: api.token }),
    })
    const api: EtcdApi = new EtcdApi(http, config.credentials)
    super(config, new InstanceDriver(api, config.prefix, config.leaseMs), deps)
    this.settings = config
    this.http = http
    this.api = api
    this.naming = new OneGroup(config)
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const { prefix } = this.settings
    const { kvs } = await this.api.list(`${prefix}/`, signal)
    return this.naming.keys(new Set(kvs.map(({ key }) => key.slice(prefix.length + 1).split('/')[0]!)), limit)
  }

  protected get server(): string | undefined {
    return this.http.server
  }

  protected ping(): Promise<void> {
    return this.api.ping()
  }

  protected canHave(service: ServiceName): boolean {
    return this.naming.has(service)
  }

  protected checkAnnounced(service: ServiceName): void {
    this.naming.check(service)
  }

  protected follow(key: ServiceKey, service: ServiceName): void {
    this.listed.set(key, {
      service: service.name,
      instances: new Map(),
      isListing: false,
      isOutdated: false,
      missed: [],
    })
    if (this.pulse.isAlive) this.again(key)
  }

  protected again(key: ServiceKey): void {
    if (!this.waiting.includes(key)) this.waiting.push(key)
    this.go()
  }

  private go(): void {
    while (this.questions < maxQuestions && this.waiting.length > 0) {
      const key = this.waiting.shift()!
      const listed = this.listed.get(key)
      if (listed?.isListing === true) listed.isOutdated = true
      else if (listed !== undefined) void this.list(key, listed)
    }
  }

  private async list(key: ServiceKey, listed: Listed): Promise<void> {
    this.questions++
    listed.isListing = true
    listed.isOutdated = false
    listed.missed = []
    try {
      const all = await this.api.list(`${this.settings.prefix}/${listed.service}/`)
      if (this.listed.get(key) !== listed) return
      const kvs = this.cut(key, all.kvs)
      const present = new Set(kvs.map((kv) => kv.key))
      for (const known of listed.instances.keys()) if (!present.has(known)) listed.instances.delete(known)
      let refused = 0
      for (const kv of kvs) if (!this.take(listed, kv.key, kv.value)) refused++
      // the list may be older than what the watch said meanwhile, never newer by less than that
      for (const event of listed.missed) if (!this.apply(listed, event)) refused++
      this.tellRefused(key, refused)
      this.state.taken(key)
      this.state.services.publish(key, listed.instances.values())
    } catch (error) {
      this.failed(key, error as MeshError)
    } finally {
      listed.isListing = false
      this.questions--
      const isWanted = this.listed.get(key) === listed && !this.isClosed
      if (isWanted && (listed.isOutdated || listed.missed.length >= maxMissed)) this.again(key)
      this.go()
    }
  }

  /** A list far beyond what is taken is not even looked at as a whole. */
  private cut(key: ServiceKey, kvs: readonly KeyValue[]): readonly KeyValue[] {
    const most = this.settings.maxEndpoints * lookedAtShare
    if (kvs.length <= most) return kvs
    const { metrics, log } = this.deps
    metrics.count('registry_endpoints_cut', { registry: this.name }, kvs.length - most)
    log.warn({ registry: this.name, service: key }, `${key}: ${kvs.length} entries, ${most} of them are looked at`)
    return kvs.slice(0, most)
  }

  /** False = it makes no sense; its last good content stays. */
  private take(listed: Listed, node: string, value: string): boolean {
    const isNew = !listed.instances.has(node)
    if (isNew && listed.instances.size >= this.settings.maxEndpoints * lookedAtShare) return false
    const endpoint = readPlainInstance(value)
    if (endpoint !== undefined) listed.instances.set(node, endpoint)
    return endpoint !== undefined
  }

  private apply(listed: Listed, event: WatchWord['events'][number]): boolean {
    if (!event.isRemoval) return this.take(listed, event.key, event.value)
    listed.instances.delete(event.key)
    return true
  }

  private tellRefused(key: ServiceKey, refused: number): void {
    if (refused === 0) return
    this.deps.metrics.count('registry_entries_refused', { registry: this.name }, refused)
    this.deps.log.warn(
      { registry: this.name, service: key, refused },
      `${key}: ${refused} instances make no sense; what was good before stays in use, the others are used`,
    )
  }

  protected release(key: ServiceKey): void {
    this.listed.delete(key)
  }

  protected lost(): void {
    this.watch?.abort()
  }

  protected stop(): void {
    this.isClosed = true
    this.watch?.abort()
  }

  protected closeClient(): void {
    this.http.close()
  }

  protected back(): void {
    void this.watchAll()
  }

  /**
   * Watches first and lists then, so that nothing falls between the two; again and again, until the registry is lost.
   */
  private async watchAll(): Promise<void> {
    this.watch?.abort()
    const watch = new AbortController()
    this.watch = watch
    while (!watch.signal.aborted && !this.isClosed) {
      try {
        const { revision } = await this.api.list(`${this.settings.prefix}/\0`, watch.signal)
        const isOver = this.api.watch(`${this.settings.prefix}/`, revision + 1n, watch.signal, (word) =>
          this.heard(word),
        )
        for (const key of this.listed.keys()) this.again(key)
        await isOver
      } catch (error) {
        if (watch.signal.aborted) return
        this.deps.log.debug({ registry: this.name }, `the watch ended: ${(error as MeshError).message}`)
        this.pulse.now()
      }
      await new Promise<void>((resolve) => this.deps.clock.after(watchRetryMs, resolve))
    }
  }

  private heard(word: WatchWord): void {
    const changed = new Map<ServiceKey, number>()
    const { prefix } = this.settings
    for (const event of word.events) {
      const key = this.naming.keyOf(event.key.slice(prefix.length + 1).split('/')[0]!)
      const listed = this.listed.get(key)
      if (listed === undefined) continue
      if (listed.isListing) {
        if (listed.missed.length < maxMissed) listed.missed.push(event)
        continue
      }
      changed.set(key, (changed.get(key) ?? 0) + (this.apply(listed, event) ? 0 : 1))
    }
    for (const [key, refused] of changed) {
      this.tellRefused(key, refused)
      this.state.services.publish(key, this.listed.get(key)!.instances.values())
    }
  }

  private failed(key: ServiceKey, error: MeshError): void {
    if (this.isClosed) return
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') {
      this.pulse.now()
      this.deps.clock.after(watchRetryMs, () => {
        if (this.pulse.isAlive) this.again(key)
      })
      return
    }
    this.state.refused(key, error)
    this.deps.clock.after(10_000, () => {
      if (this.state.isRefused(key)) this.again(key)
    })
  }
}
