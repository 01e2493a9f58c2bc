/**
 * The snapshot as it is now, and what changed since it was last taken.
 *
 * Setting a record that is already so is no change. A change of one record costs that record: nothing here looks at the
 * others. `take()` answers the delta since the last call and counts the version up; it is called once per turn of the
 * loop at most, so a burst of changes becomes one delta.
 */
import { isDeepStrictEqual } from 'node:util'
import type { EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import {
  snapshotFormat,
  type ListenerSpec,
  type MeshSpec,
  type NodeSpec,
  type ServiceSpec,
  type Snapshot,
  type SnapshotDelta,
} from '../../../../contracts/snapshot.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A snapshot for who goes through it piece by piece: its maps stay as they are while the store changes. */
export interface SnapshotRecords extends SnapshotHead {
  readonly listeners: ReadonlyMap<string, ListenerSpec>
  readonly virtualHosts: ReadonlyMap<string, VirtualHostSpec>
  readonly services: ReadonlyMap<ServiceKey, ServiceSpec>
  readonly names: ReadonlyMap<string, string | null>
}

type SnapshotHead = Pick<Snapshot, 'format' | 'version' | 'createdAt' | 'node' | 'mesh'>

export class SnapshotStore {
  private versionNow: number
  private nodeNow: NodeSpec
  private meshNow: MeshSpec
  private readonly listeners = new Map<string, ListenerSpec>()
  private readonly virtualHosts = new Map<string, VirtualHostSpec>()
  private readonly services = new Map<ServiceKey, ServiceSpec>()
  private readonly names = new Map<string, string | null>()

  private readonly dirtyListeners = new Set<string>()
  private readonly dirtyVirtualHosts = new Set<string>()
  private readonly dirtyServices = new Set<ServiceKey>()
  private readonly dirtyEndpoints = new Set<ServiceKey>()
  private readonly dirtyNames = new Set<string>()
  private isNodeDirty: boolean
  private isMeshDirty = false
  private readonly onDirty: () => void

  /**
   * @param version of the last snapshot of this host; the next one is greater. `onDirty` is called at the first change
   * after a `take`.
   */
  constructor(version: number, node: NodeSpec, mesh: MeshSpec, onDirty: () => void) {
    this.versionNow = version
    // A host without a single listener has a first snapshot too: its workers wait for it.
    this.isNodeDirty = version === 0
    this.nodeNow = node
    this.meshNow = mesh
    this.onDirty = onDirty
  }

  get version(): number {
    return this.versionNow
  }

  /** A worker came with a newer version than ours (a state directory was lost): go on above it. */
  raiseVersion(seen: number): void {
    if (Number.isSafeInteger(seen) && seen > this.versionNow) this.versionNow = seen
  }

  setNode(node: NodeSpec): void {
    if (isDeepStrictEqual(node, this.nodeNow)) return
    this.nodeNow = node
    this.isNodeDirty = true
    this.onDirty()
  }

  /** Names of private RPC that the configuration describes. */
  get describedProtocols(): ReadonlySet<string> {
    return new Set(Object.keys(this.meshNow.rpcProtocols ?? {}))
  }

  setMesh(mesh: MeshSpec): void {
    if (isDeepStrictEqual(mesh, this.meshNow)) return
    this.meshNow = mesh
    this.isMeshDirty = true
    this.onDirty()
  }

  setListener(name: string, spec: ListenerSpec | undefined): void {
    this.set(this.listeners, this.dirtyListeners, name, spec)
  }

  setVirtualHost(name: string, spec: VirtualHostSpec | undefined): void {
    this.set(this.virtualHosts, this.dirtyVirtualHosts, name, spec)
  }

  setService(key: ServiceKey, spec: ServiceSpec | undefined): void {
    this.set(this.services, this.dirtyServices, key, spec)
  }

  /** Ignored for a service that is not there. */
  setEndpoints(set: EndpointSet): void {
    const service = this.services.get(set.service)
    if (service === undefined || service.endpoints === set) return
    this.services.set(set.service, { ...service, endpoints: set })
    if (!this.dirtyServices.has(set.service)) this.dirtyEndpoints.add(set.service)
    this.onDirty()
  }

  /** The same endpoints in other objects: no change for anybody. */
  replaceEndpoints(set: EndpointSet): void {
    const service = this.services.get(set.service)
    if (service !== undefined) this.services.set(set.service, { ...service, endpoints: set })
  }

  /** undefined forgets the name: a worker has to ask again. */
  setName(name: string, virtualHost: string | null | undefined): void {
    this.set(this.names, this.dirtyNames, name, virtualHost)
  }

  listener(name: string): ListenerSpec | undefined {
    return this.listeners.get(name)
  }

  service(key: ServiceKey): ServiceSpec | undefined {
    return this.services.get(key)
  }

  virtualHost(name: string): VirtualHostSpec | undefined {
    return this.virtualHosts.get(name)
  }

  allVirtualHosts(): Iterable<VirtualHostSpec> {
    return this.virtualHosts.values()
  }

  nameOf(name: string): string | null | undefined {
    return this.names.get(name)
  }

  listenerNames(): Iterable<string> {
    return this.listeners.keys()
  }

  allListeners(): Iterable<ListenerSpec> {
    return this.listeners.values()
  }

  allServices(): Iterable<ServiceSpec> {
    return this.services.values()
  }

  allNames(): Iterable<readonly [string, string | null]> {
    return this.names
  }

  get counts(): { listeners: number; virtualHosts: number; services: number; names: number } {
    return {
      listeners: this.listeners.size,
      virtualHosts: this.virtualHosts.size,
      services: this.services.size,
      names: this.names.size,
    }
  }

  whole(createdAt: number): Snapshot {
    return {
      ...this.head(createdAt),
      listeners: Object.fromEntries(this.listeners),
      virtualHosts: Object.fromEntries(this.virtualHosts),
      services: Object.fromEntries(this.services),
      names: Object.fromEntries(this.names),
    }
  }

  records(createdAt: number): SnapshotRecords {
    return {
      ...this.head(createdAt),
      listeners: new Map(this.listeners),
      virtualHosts: new Map(this.virtualHosts),
      services: new Map(this.services),
      names: new Map(this.names),
    }
  }

  /** What changed since the last call, or undefined. */
  take(): SnapshotDelta | undefined {
    const isDirty =
      this.isNodeDirty ||
      this.isMeshDirty ||
      this.dirtyListeners.size +
        this.dirtyVirtualHosts.size +
        this.dirtyServices.size +
        this.dirtyEndpoints.size +
        this.dirtyNames.size >
        0
    if (!isDirty) return undefined
    const delta: Mutable<SnapshotDelta> = { baseVersion: this.versionNow, version: this.versionNow + 1 }
    this.versionNow++
    if (this.isNodeDirty) delta.node = this.nodeNow
    if (this.isMeshDirty) delta.mesh = this.meshNow
    this.isNodeDirty = false
    this.isMeshDirty = false
    if (this.dirtyListeners.size > 0) delta.listeners = drain(this.dirtyListeners, this.listeners)
    if (this.dirtyVirtualHosts.size > 0) delta.virtualHosts = drain(this.dirtyVirtualHosts, this.virtualHosts)
    for (const key of this.dirtyServices) this.dirtyEndpoints.delete(key)
    if (this.dirtyServices.size > 0) delta.services = drain(this.dirtyServices, this.services)
    if (this.dirtyEndpoints.size > 0) {
      const sets: Record<ServiceKey, EndpointSet> = {}
      for (const key of this.dirtyEndpoints) sets[key] = this.services.get(key)!.endpoints
      delta.endpoints = sets
      this.dirtyEndpoints.clear()
    }
    if (this.dirtyNames.size > 0) {
      const kept: [string, string | null][] = []
      const forgotten: string[] = []
      for (const name of this.dirtyNames) {
        const value = this.names.get(name)
        if (value === undefined) forgotten.push(name)
        else kept.push([name, value])
      }
      if (kept.length > 0) delta.names = Object.fromEntries(kept)
      if (forgotten.length > 0) delta.forgottenNames = forgotten
      this.dirtyNames.clear()
    }
    return delta
  }

  private head(createdAt: number): SnapshotHead {
    return { format: snapshotFormat, version: this.versionNow, createdAt, node: this.nodeNow, mesh: this.meshNow }
  }

  private set<K extends string, V>(map: Map<K, V>, dirty: Set<K>, key: K, value: V | undefined): void {
    const before = map.get(key)
    if (before === value || (value !== undefined && isDeepStrictEqual(before, value))) return
    if (value === undefined) map.delete(key)
    else map.set(key, value)
    dirty.add(key)
    this.onDirty()
  }
}

function drain<K extends string, V>(dirty: Set<K>, map: ReadonlyMap<K, V>): Record<string, V | null> {
  const changes = Object.fromEntries([...dirty].map((key) => [key, map.get(key) ?? null]))
  dirty.clear()
  return changes
}
