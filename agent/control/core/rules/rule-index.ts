/**
 * Which resource decides about which service. Where two of a kind name the same host, one that this host alone was told
 * decides, else the one first in the order of `namespace/name`, whatever file or source it came from and whenever it
 * came; the other one is told so in its status. MeshPolicies are merged field by field in the same order.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RuleKind } from './kinds.ts'
import { delegatedRoutes } from './delegate.ts'
import { describeMerge, mergeDestinationRules } from './merged-destination-rule.ts'
import type { MergedDestinationRule } from './merged-destination-rule.ts'
import { covers } from './rule-host.ts'
import type { RuleHost } from './rule-host.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import { formatPath } from '../../config/problem.ts'
import { hostPath } from './rule-resource.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import { compileVirtualService, isAboutMesh, routeSources } from './virtual-service.ts'
import type { CompiledRoutes, IsMeant } from './virtual-service.ts'

interface Claim<R> {
  readonly resource: R
  readonly host: RuleHost
  /** Others about the same host, in their order. */
  readonly others: R[]
}

/** Resources of one kind by host. */
class HostTable<R extends RuleResource> {
  private readonly exact = new Map<ServiceKey, Claim<R>>()
  private wildcardClaims: Claim<R>[] = []
  private isSorted = true

  /** The claim that was there first, if any: it stays. */
  add(resource: R, host: RuleHost): Claim<R> | undefined {
    const former = this.exact.get(host.key)
    if (former !== undefined) {
      if (former.resource !== resource) former.others.push(resource)
      return former
    }
    const claim = { resource, host, others: [] }
    this.exact.set(host.key, claim)
    if (host.suffix !== undefined) {
      this.wildcardClaims.push(claim)
      this.isSorted = false
    }
    return undefined
  }

  /** The exact host, else the longest wildcard. */
  find(key: ServiceKey): R | undefined {
    return this.claim(key)?.resource
  }

  claim(key: ServiceKey): Claim<R> | undefined {
    return this.exact.get(key) ?? this.ordered().find((claim) => covers(claim.host, key))
  }

  /** Longest suffix first. */
  wildcards(): readonly Claim<R>[] {
    return this.ordered()
  }

  keys(): Iterable<ServiceKey> {
    return this.exact.keys()
  }

  claims(): Iterable<Claim<R>> {
    return this.exact.values()
  }

  private ordered(): readonly Claim<R>[] {
    if (!this.isSorted) {
      this.wildcardClaims = this.wildcardClaims.toSorted(
        (a, b) => (b.host.suffix?.length ?? 0) - (a.host.suffix?.length ?? 0),
      )
      this.isSorted = true
    }
    return this.wildcardClaims
  }
}

export class RuleIndex {
  readonly virtualServices = new HostTable<ResourceOf<'VirtualService'>>()
  readonly destinationRules = new HostTable<ResourceOf<'DestinationRule'>>()
  readonly serviceEntries = new HostTable<ResourceOf<'ServiceEntry'>>()
  readonly httpRoutes = new HostTable<ResourceOf<'HTTPRoute'> | ResourceOf<'GRPCRoute'>>()
  readonly tcpRoutes = new HostTable<ResourceOf<'TCPRoute'>>()
  readonly workloadEntries: readonly ResourceOf<'WorkloadEntry'>[]
  /** VirtualServices without hosts, by `namespace/name`. */
  private readonly delegates = new Map<string, ResourceOf<'VirtualService'>>()
  /** `namespace/name` of those that a route delegates to. */
  private readonly delegators = new Set<string>()
  private readonly routes = new Map<RuleResource, CompiledRoutes>()
  private readonly rules = new Map<RuleResource, MergedDestinationRule>()
  /** In their order. */
  readonly peerAuthentications: readonly ResourceOf<'PeerAuthentication'>[]
  /** In their order. */
  readonly gateways: readonly ResourceOf<'Gateway'>[]
  /** VirtualServices with hosts that name gateways, in their order. */
  readonly gatewayServices: readonly ResourceOf<'VirtualService'>[]
  /** In their order. */
  readonly meshPolicies: readonly ResourceOf<'MeshPolicy'>[]
  /** In their order. */
  readonly authorizationPolicies: readonly ResourceOf<'AuthorizationPolicy'>[]
  readonly requestAuthentications: readonly ResourceOf<'RequestAuthentication'>[]
  private readonly conflicts = new Map<string, RuleProblem[]>()
  private readonly lost = new Map<string, 'conflict' | 'overridden'>()

  constructor(resources: Iterable<RuleResource>) {
    const ordered = [...resources].toSorted(compare)
    this.meshPolicies = ordered.filter((one) => one.kind === 'MeshPolicy')
    this.peerAuthentications = ordered.filter((one) => one.kind === 'PeerAuthentication')
    this.authorizationPolicies = ordered.filter((one) => one.kind === 'AuthorizationPolicy')
    this.requestAuthentications = ordered.filter((one) => one.kind === 'RequestAuthentication')
    this.workloadEntries = ordered.filter((one) => one.kind === 'WorkloadEntry')
    this.gateways = ordered.filter((one) => one.kind === 'Gateway')
    this.gatewayServices = ordered
      .filter((one) => one.kind === 'VirtualService')
      .filter(({ hosts, isExported, spec }) => isExported && hosts !== undefined && namesGateways(spec))
    for (const one of ordered) {
      if (one.kind !== 'VirtualService') continue
      if (one.hosts === undefined) this.delegates.set(orderOf(one), one)
      for (const { delegate } of one.spec.http ?? [])
        if (delegate !== undefined) this.delegators.add(`${delegate.namespace ?? one.namespace}/${delegate.name}`)
    }
    for (const resource of ordered) this.claimHosts(resource)
    this.compareMeshPolicies()
  }

  /** Routes with those of delegates in their places. */
  routesOf(resource: ResourceOf<'VirtualService'>): CompiledRoutes {
    const known = resource.ownRoutes ?? this.routes.get(resource)
    if (known !== undefined) return known
    const routes = this.routesWhere(resource, isAboutMesh)
    this.routes.set(resource, routes)
    return routes
  }

  /** Those that `isMeant`. */
  routesWhere(resource: ResourceOf<'VirtualService'>, isMeant: IsMeant): CompiledRoutes {
    const delegated = (route: Parameters<typeof delegatedRoutes>[0], name: string) => {
      const target = this.delegateOf(resource, route.delegate)
      return target === undefined ? [] : delegatedRoutes(route, name, routeSources(target.spec, target.reader, isMeant))
    }
    return compileVirtualService(resource.spec, resource.reader, delegated, isMeant)
  }

  delegateOf(
    resource: RuleResource,
    delegate: { readonly name: string; readonly namespace?: string | undefined } | undefined,
  ): ResourceOf<'VirtualService'> | undefined {
    if (delegate === undefined) return undefined
    return this.delegates.get(`${delegate.namespace ?? resource.namespace}/${delegate.name}`)
  }

  isDelegatedTo(delegate: RuleResource): boolean {
    return this.delegators.has(orderOf(delegate))
  }

  /** All DestinationRules of a host as one. */
  destinationRule(key: ServiceKey): MergedDestinationRule | undefined {
    const claim = this.destinationRules.claim(key)
    if (claim === undefined) return undefined
    const known = this.rules.get(claim.resource)
    if (known !== undefined) return known
    const merged = mergeDestinationRules([claim.resource, ...claim.others])
    this.rules.set(claim.resource, merged)
    return merged
  }

  /** Hosts or fields of this resource for which another one decides. */
  conflictsOf(id: string): readonly RuleProblem[] {
    return this.conflicts.get(id) ?? []
  }

  /** How this one stands if others decide about every host of it; undefined = it decides about some. */
  lostTo(id: string): 'conflict' | 'overridden' | undefined {
    return this.lost.get(id)
  }

  private claimHosts(resource: RuleResource): void {
    const hosts = resource.hosts ?? []
    // about gateways alone
    if (resource.kind === 'VirtualService' && resource.isExported && !isAboutMesh(resource.spec)) return
    if (!resource.isExported) {
      this.lost.set(resource.id, 'conflict')
      this.note(resource, 0, 'exportTo names no namespace of the callers of this host, so it has no effect here')
      return
    }
    let lost = 0
    let isOverridden = false
    const lose = (winner: Claim<RuleResource>): void => {
      lost++
      // without what this host alone was told it would decide about something
      isOverridden ||= winner.resource.isLocal && !resource.isLocal
    }
    hosts.forEach((host, index) => {
      const former = this.claim(resource, host)
      if (former === undefined || former.resource.id === resource.id) return
      if (resource.kind === 'DestinationRule' && former.resource.kind === 'DestinationRule') {
        const { message, isUsed } = describeMerge(resource, former as Claim<ResourceOf<'DestinationRule'>>)
        if (!isUsed) lose(former)
        this.note(resource, index, message)
        return
      }
      lose(former)
      this.note(resource, index, `${host.text}: decided by ${nameOf(former.resource)}, which comes first`)
    })
    if (lost > 0 && lost === hosts.length) this.lost.set(resource.id, isOverridden ? 'overridden' : 'conflict')
  }

  private claim(resource: RuleResource, host: RuleHost): Claim<RuleResource> | undefined {
    switch (resource.kind) {
      case 'VirtualService':
        return this.virtualServices.add(resource, host)
      case 'DestinationRule':
        return this.destinationRules.add(resource, host)
      case 'ServiceEntry':
        return this.serviceEntries.add(resource, host)
      case 'HTTPRoute':
      case 'GRPCRoute':
        // routes of one service stand beside each other
        this.httpRoutes.add(resource, host)
        return undefined
      case 'TCPRoute':
        this.tcpRoutes.add(resource, host)
        return undefined
      case 'WorkloadEntry':
      case 'Gateway':
      case 'PeerAuthentication':
      case 'MeshPolicy':
      case 'AuthorizationPolicy':
      case 'RequestAuthentication':
        return undefined
    }
  }

  /** Two policies for the same host (or both for all) that set the same field. */
  private compareMeshPolicies(): void {
    const firstBy = new Map<string, RuleResource>()
    for (const policy of this.meshPolicies) {
      const fields = Object.keys(policy.spec).filter(
        (key) => !['hosts', 'rateLimits', 'hedging', 'retries'].includes(key),
      )
      const keys = policy.hosts?.map((host) => host.key) ?? ['']
      keys.forEach((key, index) => {
        for (const field of fields) {
          const first = firstBy.get(`${key} ${field}`)
          if (first === undefined) firstBy.set(`${key} ${field}`, policy)
          else if (first.id !== policy.id) {
            const whose = key === '' ? 'every service' : (policy.hosts?.[index]?.text ?? key)
            this.note(policy, index, `${field} of ${whose}: decided by ${nameOf(first)}, which comes first`)
          }
        }
      })
    }
  }

  private note(resource: RuleResource, hostIndex: number, message: string): void {
    const position = resource.hostPositions[hostIndex] ?? { line: 0, column: 0 }
    const path = resource.hosts === undefined ? 'spec' : formatPath(hostPath(resource.kind, hostIndex))
    const known = this.conflicts.get(resource.id) ?? []
    this.conflicts.set(resource.id, [...known, { path, ...position, message }])
  }
}

function namesGateways({ gateways = [] }: ResourceOf<'VirtualService'>['spec']): boolean {
  return gateways.some((name) => name !== 'mesh')
}

function compare(a: RuleResource, b: RuleResource): number {
  if (a.isLocal !== b.isLocal) return a.isLocal ? -1 : 1
  return orderOf(a) < orderOf(b) ? -1 : 1
}

function orderOf(resource: RuleResource): string {
  return `${resource.namespace}/${resource.name}`
}

function nameOf(resource: { kind: RuleKind; namespace: string; name: string }): string {
  return `${resource.kind} ${resource.namespace}/${resource.name}`
}
