/**
 * The routes of the one listener of a proxy, for the services that it calls, and the clusters to which they lead. Of a
 * change of the rules only what depends on it is made anew.
 */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { encodeMessage } from '../../../contracts/envoy-api/encode.ts'
import type { VirtualHostSpec } from '../../../contracts/route-spec.ts'
import type { RuleStore } from '../../../agent/control/core/rules/rule-store.ts'
import type { RuleChange } from '../../../agent/control/core/rules/types.ts'
import type { RulesView } from '../agent-rules.ts'
import type { Wildcard } from '../resources.ts'
import { clusterName, type ClusterRef } from './cluster-name.ts'
import { policyOf } from './destinations.ts'
import type { LeftOutTable } from './left-out-table.ts'
import { outbound, routeConfiguration, routesMessage } from './listener.ts'
import { namesOfService } from './names-of-service.ts'
import { virtualHost, virtualHostMessage, type VirtualHostTranslation } from './virtual-host.ts'

export interface OutboundRoutesDeps {
  readonly rules: RulesView
  /** Names of the services that it calls; undefined = those about which rules say something. */
  readonly services: readonly string[] | undefined
  readonly clusterDomain: string
  readonly leftOut: LeftOutTable
}

/** Services of one proxy; of more the first in the order of their keys are told. */
const maxServices = 5000

interface Host {
  readonly spec: VirtualHostSpec
  readonly domains: string
  readonly bytes: Buffer
  readonly clusters: readonly ClusterRef[]
  readonly leftOut: readonly string[]
}

export class OutboundRoutes implements Wildcard {
  private readonly deps: OutboundRoutesDeps
  private readonly hosts = new Map<ServiceKey, Host>()
  private readonly watchers = new Set<() => void>()
  private readonly unwatch: () => void
  private clusters: ReadonlySet<string> | undefined
  /** The RouteConfiguration; undefined = the rules have not been read yet. */
  value: Buffer | undefined

  constructor(deps: OutboundRoutesDeps) {
    this.deps = deps
    this.unwatch = deps.rules.watch((affected) => this.refresh(affected))
    this.refresh('all')
  }

  names(): ReadonlySet<string> | undefined {
    return this.clusters
  }

  /** Heard when the routes or the clusters are others. */
  watch(onChange: () => void): () => void {
    this.watchers.add(onChange)
    return () => void this.watchers.delete(onChange)
  }

  close(): void {
    this.unwatch()
    this.deps.leftOut.clear(this)
  }

  private refresh(affected: RuleChange['affected']): void {
    const { inForce } = this.deps.rules
    if (inForce === undefined) return
    const missing: string[] = []
    const keys = this.keys(inForce, missing)
    const wanted = new Set(keys)
    for (const key of this.hosts.keys()) if (!wanted.has(key)) this.hosts.delete(key)
    const taken = new Set<string>()
    for (const key of keys) {
      const before = this.hosts.get(key)
      const isKept = before !== undefined && !depends(key, before, affected)
      // names are looked at again, since another rule may have taken or freed one
      const spec = isKept ? before.spec : inForce.virtualHost(key).spec
      const free = namesOfService(key, spec.domains, inForce, this.deps.clusterDomain).filter((one) => !taken.has(one))
      for (const one of free) taken.add(one)
      const domains = free.join(' ')
      if (isKept && before.domains === domains) continue
      const made = virtualHost(spec, free, 'outbound', (ref) => policyOf(inForce.service(ref.service), ref))
      this.put(spec, domains, made)
    }
    for (const [key, { leftOut }] of this.hosts) missing.push(...leftOut.map((words) => `${key}: ${words}`))
    this.deps.leftOut.set(this, { type: 'routes', name: outbound, what: missing })
    const reachable = keys.map((key) => this.hosts.get(key)!).filter(({ domains }) => domains !== '')
    const value = encodeMessage(
      routesMessage,
      routeConfiguration(
        outbound,
        reachable.map(({ bytes }) => bytes),
      ),
    )
    const clusters = new Set(reachable.flatMap((one) => one.clusters.map(clusterName)))
    if (this.value?.equals(value) === true && sameNames(this.clusters, clusters)) return
    this.value = value
    this.clusters = clusters
    for (const onChange of this.watchers) onChange()
  }

  private put(spec: VirtualHostSpec, domains: string, { message, clusters, leftOut }: VirtualHostTranslation): void {
    this.hosts.set(spec.name as ServiceKey, {
      spec,
      domains,
      bytes: encodeMessage(virtualHostMessage, message),
      clusters,
      leftOut,
    })
  }

  /** In an order that does not change by itself: of two services with the same name the first has it. */
  private keys(rules: RuleStore, missing: string[]): readonly ServiceKey[] {
    const { services } = this.deps
    const found = new Set<ServiceKey>()
    if (services === undefined) {
      for (const { services: named } of rules.hostedRules()) for (const key of named ?? []) found.add(key)
      for (const key of rules.declaredKeys()) found.add(key)
    } else
      for (const name of services) {
        const key = rules.resolveName(name)
        if (key === undefined) missing.push(`${name.slice(0, 200)}: no such name can exist`)
        else found.add(key)
      }
    const sorted = [...found].toSorted()
    if (sorted.length > maxServices) missing.push(`${sorted.length - maxServices} services: over ${maxServices}`)
    return sorted.slice(0, maxServices)
  }
}

/** A route holds what the policies of its destinations say of hashes. */
function depends(key: ServiceKey, { clusters }: Host, affected: RuleChange['affected']): boolean {
  return affected === 'all' || affected.has(key) || clusters.some(({ service }) => affected.has(service))
}

function sameNames(one: ReadonlySet<string> | undefined, other: ReadonlySet<string>): boolean {
  return one !== undefined && one.size === other.size && [...one].every((name) => other.has(name))
}
