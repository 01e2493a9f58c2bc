/**
 * Which resource decides about which service. Where two of a kind name the same host, the one first in the order of `namespace/name` decides, whatever file or
 * source it came from and whenever it came; the other one is told so in its status. MeshPolicies are merged field by field in the same order.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RuleKind } from './kinds.ts'
import { nameOfKey, namespaceOfKey } from './rule-host.ts'
import type { RuleHost } from './rule-host.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import { formatPath } from '../../config/problem.ts'
import { hostPath } from './rule-resource.ts'
import type { RuleProblem } from './types.ts'

interface Claim<R> {
  readonly resource: R
  readonly host: RuleHost
}

/** Resources of one kind by host. */
export class HostTable<R extends RuleResource> {
  readonly #exact = new Map<ServiceKey, Claim<R>>()
  /** Longest suffix first. */
  readonly #wildcards: Claim<R>[] = []

  /** The claim that was there first, if any: it stays. */
  add(resource: R, host: RuleHost): Claim<R> | undefined {
    const former = this.#exact.get(host.key)
    if (former !== undefined) return former
    const claim = { resource, host }
    this.#exact.set(host.key, claim)
    if (host.suffix !== undefined) {
      this.#wildcards.push(claim)
      this.#wildcards.sort((a, b) => (b.host.suffix?.length ?? 0) - (a.host.suffix?.length ?? 0))
    }
    return undefined
  }

  /** The exact host, else the longest wildcard of the same namespace. */
  find(key: ServiceKey): R | undefined {
    return this.claim(key)?.resource
  }

  claim(key: ServiceKey): Claim<R> | undefined {
    return this.#exact.get(key) ?? this.#wildcards.find((claim) => covers(claim.host, key))
  }

  keys(): Iterable<ServiceKey> {
    return this.#exact.keys()
  }

  claims(): Iterable<Claim<R>> {
    return this.#exact.values()
  }
}

export function covers(host: RuleHost, key: ServiceKey): boolean {
  if (host.key === key) return true
  if (host.suffix === undefined || namespaceOfKey(host.key) !== namespaceOfKey(key)) return false
  const name = nameOfKey(key).toLowerCase()
  return name.length > host.suffix.length && name.endsWith(host.suffix)
}

export class RuleIndex {
  readonly virtualServices = new HostTable<ResourceOf<'VirtualService'>>()
  readonly destinationRules = new HostTable<ResourceOf<'DestinationRule'>>()
  readonly serviceEntries = new HostTable<ResourceOf<'ServiceEntry'>>()
  /** In the order of `namespace/name`. */
  readonly meshPolicies: readonly ResourceOf<'MeshPolicy'>[]
  readonly #conflicts = new Map<string, RuleProblem[]>()
  readonly #lost = new Set<string>()

  constructor(resources: Iterable<RuleResource>) {
    const ordered = [...resources].toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
    this.meshPolicies = ordered.filter((one) => one.kind === 'MeshPolicy')
    for (const resource of ordered) this.#claimHosts(resource)
    this.#compareMeshPolicies()
  }

  /** Hosts or fields of this resource for which another one decides. */
  conflictsOf(id: string): readonly RuleProblem[] {
    return this.#conflicts.get(id) ?? []
  }

  /** Whether another resource decides about every host of this one. */
  hasLost(id: string): boolean {
    return this.#lost.has(id)
  }

  #claimHosts(resource: RuleResource): void {
    const hosts = resource.hosts ?? []
    let lost = 0
    hosts.forEach((host, index) => {
      const former = this.#claim(resource, host)
      if (former === undefined || former.resource.id === resource.id) return
      lost++
      this.#note(resource, index, `${host.text}: decided by ${nameOf(former.resource)}, which comes first by name`)
    })
    if (lost > 0 && lost === hosts.length) this.#lost.add(resource.id)
  }

  #claim(resource: RuleResource, host: RuleHost): Claim<RuleResource> | undefined {
    switch (resource.kind) {
      case 'VirtualService':
        return this.virtualServices.add(resource, host)
      case 'DestinationRule':
        return this.destinationRules.add(resource, host)
      case 'ServiceEntry':
        return this.serviceEntries.add(resource, host)
      case 'MeshPolicy':
        return undefined
    }
  }

  /** Two policies for the same host (or both for all) that set the same field. */
  #compareMeshPolicies(): void {
    const firstBy = new Map<string, RuleResource>()
    for (const policy of this.meshPolicies) {
      const fields = Object.keys(policy.spec).filter((key) => !['hosts', 'rateLimits', 'hedging'].includes(key))
      const keys = policy.hosts?.map((host) => host.key) ?? ['']
      keys.forEach((key, index) => {
        for (const field of fields) {
          const first = firstBy.get(`${key} ${field}`)
          if (first === undefined) firstBy.set(`${key} ${field}`, policy)
          else if (first.id !== policy.id) {
            const whose = key === '' ? 'every service' : (policy.hosts?.[index]?.text ?? key)
            this.#note(policy, index, `${field} of ${whose}: decided by ${nameOf(first)}, which comes first by name`)
          }
        }
      })
    }
  }

  #note(resource: RuleResource, hostIndex: number, message: string): void {
    const position = resource.hostPositions[hostIndex] ?? { line: 0, column: 0 }
    const path = resource.hosts === undefined ? 'spec' : formatPath(hostPath(resource.kind, hostIndex))
    const known = this.#conflicts.get(resource.id) ?? []
    this.#conflicts.set(resource.id, [...known, { path, ...position, message }])
  }
}

function orderOf(resource: RuleResource): string {
  return `${resource.namespace}/${resource.name}`
}

export function nameOf(resource: { kind: RuleKind; namespace: string; name: string }): string {
  return `${resource.kind} ${resource.namespace}/${resource.name}`
}
