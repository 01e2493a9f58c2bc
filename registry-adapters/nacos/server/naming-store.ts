/**
 * Services and instances in memory, with Nacos's rules of life: ephemeral instances live by heartbeats or by their
 * connection, persistent ones until they are taken back. Owns no timer and no socket; `sweep()` does what is due.
 */
import type { ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { InstanceAddress, InstanceChange, NamingBackend, ServiceSettings, ServiceView } from './backend.ts'
import { NacosFault, overLimit } from './fault.ts'
import type { NacosInstance } from './instance.ts'
import { heartbeatTimes, instanceKey } from './instance.ts'
import type { NacosLimits } from './limits.ts'
import { groupedName } from './service-name.ts'

/** Who keeps a record alive. */
type Owner =
  { readonly kind: 'beats' } | { readonly kind: 'persistent' } | { readonly kind: 'connection'; readonly id: string }

interface InstanceRecord {
  readonly key: string
  readonly owner: Owner
  readonly entry: ServiceEntry
  /** Order of registration; of two records with one key the younger one is shown. */
  readonly order: number
  instance: NacosInstance
  beatAt: number
  /** Its connection is gone, and so will it be at this time; undefined = it lives. */
  expiresAt: number | undefined
}

interface ServiceEntry {
  readonly service: ServiceName
  /** By owner and key. */
  readonly records: Map<string, InstanceRecord>
  /** What operators changed, by instance key; outlives a re-registration, ends with the last record of the key. */
  readonly changes: Map<string, InstanceChange>
  settings: ServiceSettings
  /** Made by an operator: stays when it is empty. */
  isKept: boolean
  emptySince: number | undefined
}

export interface NamingStoreOptions {
  /** Monotonic ms. */
  readonly now: () => number
  readonly limits: Pick<NacosLimits, 'maxServices' | 'maxInstances'>
  /** How long the instances of a broken connection stay, ms; Nacos itself: 0. */
  readonly connectionGraceMs?: number
  /** How long an empty service that nobody made on purpose stays, ms; Nacos itself: 60_000. */
  readonly emptyServiceMs?: number
  /** Called after each change of what must outlive the process. */
  readonly onPersistentChange?: () => void
  /** Called after each change of a service; must be quick and call nothing here. */
  readonly onServiceChange?: (service: ServiceName) => void
}

export interface PersistentService {
  readonly service: ServiceName
  readonly settings: ServiceSettings
  readonly isKept: boolean
  readonly instances: readonly NacosInstance[]
}

const noSettings: ServiceSettings = { protectThreshold: 0, metadata: {} }

export class NamingStore implements NamingBackend {
  private readonly options: NamingStoreOptions
  private readonly entries = new Map<ServiceKey, ServiceEntry>()
  private readonly beating = new Set<InstanceRecord>()
  private readonly orphans = new Set<InstanceRecord>()
  private readonly empty = new Set<ServiceEntry>()
  private readonly byConnection = new Map<string, Set<InstanceRecord>>()
  private readonly listeners = new Map<ServiceKey, Set<() => void>>()
  private instances = 0
  private order = 0

  constructor(options: NamingStoreOptions) {
    this.options = options
  }

  async register(
    service: ServiceName,
    instances: readonly NacosInstance[],
    connection: string | undefined,
  ): Promise<void> {
    this.put(service, instances, connection)
  }

  /** `register`, at once; throws what it rejects with. */
  put(service: ServiceName, instances: readonly NacosInstance[], connection: string | undefined): void {
    this.check(service, instances, connection)
    const entry = this.entryFor(service)
    const added = new Set(instances.map((instance) => instanceKey(instance)))
    if (connection !== undefined) {
      for (const record of entry.records.values()) {
        if (record.owner.kind === 'connection' && record.owner.id === connection && !added.has(record.key))
          this.drop(record)
      }
    }
    for (const instance of instances) {
      const owner: Owner =
        connection !== undefined
          ? { kind: 'connection', id: connection }
          : { kind: instance.ephemeral ? 'beats' : 'persistent' }
      this.putOne(entry, instance, owner)
    }
    this.changed(entry)
  }

  async deregister(service: ServiceName, instance: NacosInstance, connection: string | undefined): Promise<void> {
    const entry = this.entries.get(serviceKey(service))
    if (entry === undefined) return
    const key = instanceKey(instance)
    for (const record of entry.records.values()) {
      if (record.key !== key) continue
      const isOwn =
        connection === undefined
          ? record.owner.kind !== 'connection'
          : record.owner.kind === 'connection' && record.owner.id === connection
      if (isOwn || record.expiresAt !== undefined) this.drop(record)
    }
    this.changed(entry)
  }

  async beat(service: ServiceName, address: InstanceAddress): Promise<boolean> {
    const entry = this.entries.get(serviceKey(service))
    const key = instanceKey(address)
    const record = entry?.records.get(recordId({ kind: 'beats' }, key))
    if (entry !== undefined && record === undefined) {
      // Its former owner is gone, but it is here: the heartbeats keep it from now on.
      const orphan = [...entry.records.values()].find((other) => other.key === key && other.expiresAt !== undefined)
      if (orphan !== undefined) {
        this.putOne(entry, { ...orphan.instance, healthy: true }, { kind: 'beats' })
        this.changed(entry)
        return true
      }
    }
    if (entry === undefined || record === undefined) return false
    record.beatAt = this.options.now()
    if (!record.instance.healthy) {
      record.instance = { ...record.instance, healthy: true }
      this.changed(entry)
    }
    return true
  }

  async change(service: ServiceName, address: InstanceAddress, change: InstanceChange): Promise<boolean> {
    const entry = this.entries.get(serviceKey(service))
    const key = instanceKey(address)
    const records = [...(entry?.records.values() ?? [])].filter((record) => record.key === key)
    if (entry === undefined || records.length === 0) return false
    const { healthy, ...rest } = change
    entry.changes.set(key, { ...entry.changes.get(key), ...rest })
    for (const record of records) {
      if (healthy !== undefined) record.instance = { ...record.instance, healthy }
    }
    this.changed(entry)
    return true
  }

  /** `graceMs` is how long its instances stay, for a client that may come back; default: the store's own. */
  connectionGone(connection: string, graceMs: number = this.options.connectionGraceMs ?? 0): void {
    const records = this.byConnection.get(connection) ?? []
    const entries = new Set<ServiceEntry>()
    for (const record of records) {
      if (graceMs > 0) {
        record.expiresAt = this.options.now() + graceMs
        this.orphans.add(record)
      } else {
        this.drop(record)
        entries.add(record.entry)
      }
    }
    this.byConnection.delete(connection)
    for (const entry of entries) this.changed(entry)
  }

  view(service: ServiceName): ServiceView | undefined {
    const entry = this.entries.get(serviceKey(service))
    if (entry === undefined) return undefined
    const shown = new Map<string, InstanceRecord>()
    for (const record of entry.records.values()) {
      const other = shown.get(record.key)
      if (other === undefined || other.order < record.order) shown.set(record.key, record)
    }
    const keys = [...shown.keys()].sort()
    return {
      service: entry.service,
      instances: keys.map((key) => ({ ...shown.get(key)!.instance, ...entry.changes.get(key) })),
      protectThreshold: entry.settings.protectThreshold,
      metadata: entry.settings.metadata,
    }
  }

  async query(service: ServiceName): Promise<ServiceView | undefined> {
    return this.view(service)
  }

  subscribe(service: ServiceName, onChange: () => void): Subscription {
    const key = serviceKey(service)
    const listeners = this.listeners.get(key) ?? new Set<() => void>()
    const listener = (): void => onChange()
    listeners.add(listener)
    this.listeners.set(key, listeners)
    return {
      unsubscribe: () => {
        listeners.delete(listener)
        if (listeners.size === 0 && this.listeners.get(key) === listeners) this.listeners.delete(key)
      },
    }
  }

  services(): readonly ServiceName[] {
    return [...this.entries.values()].map((entry) => entry.service)
  }

  async list(namespace: string, group: string | undefined): Promise<readonly ServiceName[]> {
    return this.services()
      .filter((service) => service.namespace === namespace && (group === undefined || service.group === group))
      .sort((a, b) => (groupedName(a) < groupedName(b) ? -1 : 1))
  }

  async createService(service: ServiceName, settings: ServiceSettings): Promise<void> {
    if (this.entries.has(serviceKey(service))) {
      throw new NacosFault('service-exists', `specified service ${groupedName(service)} already exists!`)
    }
    const { maxServices } = this.options.limits
    if (this.entries.size >= maxServices) throw overLimit('maxServices', this.entries.size + 1, maxServices)
    const entry = this.entryFor(service)
    entry.isKept = true
    entry.settings = settings
    this.changed(entry)
    this.options.onPersistentChange?.()
  }

  async updateService(service: ServiceName, settings: ServiceSettings): Promise<void> {
    const entry = this.known(service)
    entry.settings = settings
    this.changed(entry)
    this.options.onPersistentChange?.()
  }

  async deleteService(service: ServiceName): Promise<void> {
    const entry = this.known(service)
    if (entry.records.size > 0) {
      throw new NacosFault(
        'service-in-use',
        `Service ${groupedName(service)} is not empty, can't be delete. Please unregister instance first`,
      )
    }
    this.entries.delete(serviceKey(service))
    this.empty.delete(entry)
    this.options.onPersistentChange?.()
  }

  sweep(): void {
    const now = this.options.now()
    const changed = new Set<ServiceEntry>()
    for (const record of this.beating) {
      const times = heartbeatTimes(record.instance.metadata)
      const silentFor = now - record.beatAt
      if (silentFor > times.removal) this.drop(record)
      else if (silentFor > times.timeout && record.instance.healthy) {
        record.instance = { ...record.instance, healthy: false }
      } else continue
      changed.add(record.entry)
    }
    for (const record of this.orphans) {
      if (now < (record.expiresAt ?? Infinity)) continue
      this.drop(record)
      changed.add(record.entry)
    }
    for (const entry of changed) this.changed(entry)
    for (const entry of this.empty) {
      if (now - (entry.emptySince ?? now) < (this.options.emptyServiceMs ?? 60_000)) continue
      this.empty.delete(entry)
      this.entries.delete(serviceKey(entry.service))
    }
  }

  counts(): { services: number; instances: number } {
    return { services: this.entries.size, instances: this.instances }
  }

  /** What must outlive the process: persistent instances and services made on purpose. */
  persistent(): PersistentService[] {
    const kept: PersistentService[] = []
    for (const entry of this.entries.values()) {
      const instances = [...entry.records.values()]
        .filter((record) => record.owner.kind === 'persistent')
        .map((record) => ({ ...record.instance, ...entry.changes.get(record.key) }))
      if (entry.isKept || instances.length > 0) {
        kept.push({ service: entry.service, settings: entry.settings, isKept: entry.isKept, instances })
      }
    }
    return kept
  }

  /** Takes over what `persistent()` of an earlier process said. */
  restore(kept: readonly PersistentService[]): void {
    for (const { service, settings, isKept, instances } of kept) {
      const entry = this.entryFor(service)
      entry.settings = settings
      entry.isKept = isKept
      for (const instance of instances) this.putOne(entry, instance, { kind: 'persistent' })
    }
  }

  private check(service: ServiceName, instances: readonly NacosInstance[], connection: string | undefined): void {
    const { limits } = this.options
    const entry = this.entries.get(serviceKey(service))
    if (entry === undefined && this.entries.size >= limits.maxServices) {
      throw overLimit('maxServices', this.entries.size + 1, limits.maxServices)
    }
    if (this.instances + instances.length > limits.maxInstances) {
      throw overLimit('maxInstances', this.instances + instances.length, limits.maxInstances)
    }
    // One kind per service: the first record tells it for all.
    const [other] = entry?.records.values() ?? []
    if (other === undefined) return
    const hasEphemeral = other.instance.ephemeral
    for (const instance of instances) {
      const isEphemeral = instance.ephemeral || connection !== undefined
      if (isEphemeral === hasEphemeral) continue
      const [has, wants] = isEphemeral ? ['persistent', 'ephemeral'] : ['ephemeral', 'persistent']
      throw new NacosFault(
        'parameter-invalid',
        `Current service ${groupedName(service)} is ${has} service, can't register ${wants} instance.`,
      )
    }
  }

  private known(service: ServiceName): ServiceEntry {
    const entry = this.entries.get(serviceKey(service))
    if (entry !== undefined) return entry
    throw new NacosFault(
      'service-unknown',
      `service not found, namespace: ${service.namespace}, serviceName: ${groupedName(service)}`,
    )
  }

  private entryFor(service: ServiceName): ServiceEntry {
    const key = serviceKey(service)
    const known = this.entries.get(key)
    if (known !== undefined) return known
    const entry: ServiceEntry = {
      service,
      records: new Map(),
      changes: new Map(),
      settings: noSettings,
      isKept: false,
      emptySince: undefined,
    }
    this.entries.set(key, entry)
    return entry
  }

  private putOne(entry: ServiceEntry, instance: NacosInstance, owner: Owner): void {
    const key = instanceKey(instance)
    for (const orphan of this.orphans) {
      if (orphan.entry === entry && orphan.key === key) this.forget(orphan)
    }
    const id = recordId(owner, key)
    const former = entry.records.get(id)
    if (former !== undefined) this.forget(former)
    const record: InstanceRecord = {
      key,
      owner,
      entry,
      order: ++this.order,
      instance: { ...instance, ephemeral: owner.kind !== 'persistent' },
      beatAt: this.options.now(),
      expiresAt: undefined,
    }
    entry.records.set(id, record)
    this.instances += 1
    if (owner.kind === 'beats') this.beating.add(record)
    if (owner.kind === 'connection') {
      const own = this.byConnection.get(owner.id) ?? new Set<InstanceRecord>()
      own.add(record)
      this.byConnection.set(owner.id, own)
    }
    if (owner.kind === 'persistent') this.options.onPersistentChange?.()
  }

  private drop(record: InstanceRecord): void {
    this.forget(record)
    const isLast = ![...record.entry.records.values()].some((other) => other.key === record.key)
    if (isLast) record.entry.changes.delete(record.key)
    if (record.owner.kind === 'persistent') this.options.onPersistentChange?.()
  }

  private forget(record: InstanceRecord): void {
    if (!record.entry.records.delete(recordId(record.owner, record.key))) return
    this.instances -= 1
    this.beating.delete(record)
    this.orphans.delete(record)
    if (record.owner.kind !== 'connection') return
    const own = this.byConnection.get(record.owner.id)
    own?.delete(record)
    if (own?.size === 0) this.byConnection.delete(record.owner.id)
  }

  private changed(entry: ServiceEntry): void {
    if (entry.records.size > 0 || entry.isKept) {
      entry.emptySince = undefined
      this.empty.delete(entry)
    } else if (entry.emptySince === undefined) {
      entry.emptySince = this.options.now()
      this.empty.add(entry)
    }
    this.options.onServiceChange?.(entry.service)
    for (const listener of this.listeners.get(serviceKey(entry.service)) ?? []) listener()
  }
}

function recordId(owner: Owner, key: string): string {
  return owner.kind === 'connection' ? `connection ${owner.id} ${key}` : `${owner.kind} ${key}`
}
