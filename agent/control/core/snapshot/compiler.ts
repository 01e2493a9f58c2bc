/**
 * From needs, rules and endpoints to records of the snapshot.
 *
 * A virtual host is in the snapshot while somebody needs it (a listener, a name, an SDK subscription); a service while
 * a virtual host leads to it. What comes in through `endpointsChanged` and `rulesChanged` touches only the records that
 * depend on it.
 */
import {
  endpointId,
  metadataKeys,
  type Endpoint,
  type EndpointSet,
  type ServiceKey,
  type ServiceName,
} from '../../../../contracts/endpoint.ts'
import { protocolOfWord } from '../../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { ServiceSpec } from '../../../../contracts/snapshot.ts'
import type { EndpointDirectory } from '../endpoints/directory.ts'
import type { Rules } from '../rules/types.ts'
import type { SnapshotStore } from './store.ts'

export interface CompilerDeps {
  readonly store: SnapshotStore
  readonly rules: Rules
  readonly directory: Pick<EndpointDirectory, 'want' | 'release' | 'view'>
  /** Endpoint sets of the last run, served until a registry answers; each is taken out when it is used. */
  readonly restored: Map<ServiceKey, EndpointSet>
  /** A service that a ServiceEntry may declare is needed now, changed, or is no longer needed. */
  declaredChanged(key: ServiceKey): void
  /** A virtual host or service is needed now, or no longer. */
  neededChanged(key: ServiceKey): void
  /** Where a local application listens whose inbound port this endpoint is; undefined for every other endpoint. */
  localApplication(address: string, port: number): { readonly address: string; readonly port: number } | undefined
}

interface NeededHost {
  readonly reasons: Set<string>
  /**
   * Asked for by a caller and not answered yet: kept out of the snapshot, so that callers wait for the answer instead
   * of finding no endpoint.
   */
  isHeld: boolean
  isDeclared: boolean
  services: readonly ServiceKey[]
}

export class Compiler {
  private readonly deps: CompilerDeps
  private readonly hosts = new Map<ServiceKey, NeededHost>()
  /** Service to the virtual hosts that lead to it. */
  private readonly users = new Map<ServiceKey, Set<ServiceKey>>()
  private readonly protocols = new Map<ServiceKey, AppProtocol>()
  /** By whose virtual hosts are not made here. */
  private readonly led = new Map<string, readonly ServiceKey[]>()
  private judge = (set: EndpointSet): EndpointSet => set

  constructor(deps: CompilerDeps) {
    this.deps = deps
  }

  /** Idempotent per reason. In the snapshot at once. */
  need(key: ServiceKey, reason: string): void {
    this.add(key, reason, false)
    this.publishHeld(key)
  }

  /**
   * The same for a name that a caller used: in the snapshot as soon as somebody knows it or all have answered
   * (`heard`).
   */
  needOnDemand(key: ServiceKey, reason: string): void {
    this.add(key, reason, true)
    this.publishIfHeard(key)
  }

  /** A registry has said something about a service: hosts that waited for it are published. */
  heard(service: ServiceKey): void {
    for (const host of this.users.get(service) ?? []) this.publishIfHeard(host)
  }

  private add(key: ServiceKey, reason: string, isHeld: boolean): void {
    const present = this.hosts.get(key)
    if (present !== undefined) {
      present.reasons.add(reason)
      return
    }
    this.hosts.set(key, { reasons: new Set([reason]), isHeld, isDeclared: false, services: [] })
    this.compileHost(key)
    this.deps.neededChanged(key)
  }

  private publishIfHeard(key: ServiceKey): void {
    if (this.standing(key) !== 'unheard') this.publishHeld(key)
  }

  private publishHeld(key: ServiceKey): void {
    const host = this.hosts.get(key)
    if (host === undefined || !host.isHeld) return
    host.isHeld = false
    this.compileHost(key)
    for (const service of host.services) this.compileService(service)
  }

  private isServiceHeld(service: ServiceKey): boolean {
    for (const host of this.users.get(service) ?? []) if (this.hosts.get(host)?.isHeld !== true) return false
    return true
  }

  drop(key: ServiceKey, reason: string): void {
    const host = this.hosts.get(key)
    if (host === undefined || !host.reasons.delete(reason) || host.reasons.size > 0) return
    this.hosts.delete(key)
    this.deps.store.setVirtualHost(key, undefined)
    for (const service of host.services) this.letGo(service, key)
    this.deps.neededChanged(key)
  }

  /** Services to which virtual hosts of somebody else lead, in place of those before. In the snapshot at once. */
  lead(from: string, services: readonly ServiceKey[]): void {
    const before = this.led.get(from) ?? []
    this.led.set(from, services)
    for (const service of services) this.use(service, from as ServiceKey)
    for (const service of before) if (!services.includes(service)) this.letGo(service, from as ServiceKey)
  }

  /** What the operator says that callers of this service speak. */
  setProtocol(key: ServiceKey, protocol: AppProtocol | undefined): void {
    if (protocol === undefined) this.protocols.delete(key)
    else this.protocols.set(key, protocol)
    if (this.users.has(key)) this.compileService(key)
  }

  /** As a virtual host or as a service. */
  isNeeded(key: ServiceKey): boolean {
    return this.hosts.has(key) || this.users.has(key)
  }

  neededKeys(): Set<ServiceKey> {
    return new Set([...this.hosts.keys(), ...this.users.keys()])
  }

  isServiceNeeded(key: ServiceKey): boolean {
    return this.users.has(key)
  }

  rulesChanged(affected: ReadonlySet<ServiceKey> | 'all'): void {
    for (const key of affected === 'all' ? [...this.hosts.keys()] : affected)
      if (this.hosts.has(key)) {
        this.compileHost(key)
        this.publishIfHeard(key)
      }
    for (const key of affected === 'all' ? [...this.users.keys()] : affected) {
      if (!this.users.has(key)) continue
      this.compileService(key)
      this.deps.declaredChanged(key)
    }
  }

  endpointsChanged(set: EndpointSet): void {
    const present = this.deps.store.service(set.service)
    if (present === undefined || !this.users.has(set.service)) return
    const local = this.localize(set)
    if (this.protocolOf(set.service, local) === present.protocol) this.deps.store.setEndpoints(local)
    else this.compileService(set.service)
  }

  /** The same endpoints in other objects. A localized set has objects of its own anyway. */
  endpointsReplaced(set: EndpointSet): void {
    if (this.users.has(set.service) && this.localize(set) === set) this.deps.store.replaceEndpoints(set)
  }

  /**
   * Each set passes through it before it is told, for somebody who knows more of instances than their registry. The
   * same set where there is nothing to say.
   */
  judgeBy(judge: (set: EndpointSet) => EndpointSet): void {
    this.judge = judge
    this.tellAgain()
  }

  /**
   * Local applications came or went: endpoints that are ours may be reached another way now. Or the judgement is
   * another one.
   */
  tellAgain(): void {
    for (const key of this.users.keys()) {
      const set = this.deps.directory.view(key)?.set
      if (set !== undefined) this.endpointsChanged(set)
    }
  }

  /** A rule declares the host, or there is an instance of one of the services that it leads to. */
  standing(key: ServiceKey): 'known' | 'unknown' | 'unheard' {
    const host = this.hosts.get(key)
    if (host === undefined) return 'unheard'
    if (host.isDeclared) return 'known'
    const views = host.services.map((service) => this.deps.directory.view(service))
    if (views.some((view) => (view?.set?.endpoints.length ?? 0) > 0)) return 'known'
    return views.every((view) => view?.isAnswered === true) ? 'unknown' : 'unheard'
  }

  /** Virtual hosts that lead to a service. */
  hostsOf(service: ServiceKey): Iterable<ServiceKey> {
    return this.users.get(service) ?? []
  }

  private compileHost(key: ServiceKey): void {
    const host = this.hosts.get(key)!
    const compiled = this.deps.rules.virtualHost(key)
    const before = host.services
    host.services = compiled.services
    host.isDeclared = compiled.isDeclared
    for (const service of compiled.services) this.use(service, key)
    if (!host.isHeld) this.deps.store.setVirtualHost(key, compiled.spec)
    for (const service of before) if (!compiled.services.includes(service)) this.letGo(service, key)
  }

  private use(service: ServiceKey, host: ServiceKey): void {
    const users = this.users.get(service)
    if (users !== undefined) {
      const wasHeld = this.isServiceHeld(service)
      users.add(host)
      if (wasHeld && !this.isServiceHeld(service)) this.compileService(service)
      return
    }
    this.users.set(service, new Set([host]))
    const restored = this.deps.restored.get(service)
    this.deps.restored.delete(service)
    this.deps.directory.want(service, splitKey(service), restored)
    this.deps.declaredChanged(service)
    this.compileService(service)
    this.deps.neededChanged(service)
  }

  private letGo(service: ServiceKey, host: ServiceKey): void {
    const users = this.users.get(service)
    if (users === undefined || !users.delete(host) || users.size > 0) return
    this.users.delete(service)
    this.deps.directory.release(service)
    this.deps.declaredChanged(service)
    this.deps.store.setService(service, undefined)
    this.deps.neededChanged(service)
  }

  private compileService(key: ServiceKey): void {
    if (this.isServiceHeld(key)) return
    const { policy, subsets, portPolicies } = this.deps.rules.service(key)
    const endpoints = this.localize(this.deps.directory.view(key)?.set ?? emptySet(key))
    const spec: ServiceSpec = {
      key,
      protocol: this.protocolOf(key, endpoints),
      policy,
      subsets,
      portPolicies,
      endpoints,
    }
    this.deps.store.setService(key, spec)
  }

  private protocolOf(key: ServiceKey, set: EndpointSet): AppProtocol {
    const declared = this.deps.rules.declaredService(key)?.protocol
    if (declared !== undefined) return declared
    const configured = this.protocols.get(key)
    if (configured !== undefined) return configured
    const said = set.endpoints.find((endpoint) => endpoint.metadata[metadataKeys.protocol] !== undefined)
    return protocolOfWord(said?.metadata[metadataKeys.protocol], this.deps.store.describedProtocols) ?? 'http'
  }

  /**
   * Our own application is called where it listens: one hop less, and it works while the inbound port is being handed
   * over.
   */
  private localize(said: EndpointSet): EndpointSet {
    const set = this.judge(said)
    let changed: Endpoint[] | undefined
    for (const [index, endpoint] of set.endpoints.entries()) {
      const local = this.deps.localApplication(endpoint.address, endpoint.port)
      if (local === undefined) continue
      changed ??= [...set.endpoints]
      // called directly: no agent stands before it
      const { [metadataKeys.inbound]: _inbound, ...metadata } = endpoint.metadata
      changed[index] = { ...endpoint, ...local, metadata }
    }
    if (changed === undefined) return set
    const unique = new Map(changed.map((endpoint) => [endpointId(endpoint), endpoint]))
    return { ...set, endpoints: [...unique.keys()].sort().map((id) => unique.get(id)!) }
  }
}

function emptySet(key: ServiceKey): EndpointSet {
  return { service: key, version: 0, endpoints: [], protectThreshold: 0, registry: '', confirmedAt: 0 }
}

/** The parts of a key that was built by `serviceKey`. */
export function splitKey(key: ServiceKey): ServiceName {
  const slash = key.indexOf('/')
  const at = key.indexOf('@@')
  return { namespace: key.slice(0, slash), group: key.slice(slash + 1, at), name: key.slice(at + 2) }
}
