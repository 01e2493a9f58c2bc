/** What a new version of a rule makes of the snapshot of this host, as far as that would be otherwise. */
import { isDeepStrictEqual } from 'node:util'
import { dryRunBounds, type CandidateRules, type CandidateService } from '../../../contracts/dry-run.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { VirtualHostSpec } from '../../../contracts/route-spec.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import type { Rules } from '../core/rules/types.ts'
import { inboundNamespace } from '../../../contracts/inbound-key.ts'

export interface CandidateSources {
  readonly rules: Rules
  readonly store: {
    virtualHost(key: string): VirtualHostSpec | undefined
    allVirtualHosts(): Iterable<VirtualHostSpec>
    service(key: ServiceKey): ServiceSpec | undefined
    allServices(): Iterable<ServiceSpec>
  }
  /** Virtual hosts of local applications by these rules. */
  inboundHosts(rules: Rules): readonly VirtualHostSpec[]
}

export interface CompiledCandidate extends Pick<CandidateRules, 'virtualHosts' | 'services'> {
  /** Services where it leads that nobody here needs so far. */
  readonly leadsTo: readonly ServiceKey[]
  /** `VirtualService shop/orders`, of each resource. */
  readonly names: readonly string[]
}

/**
 * `rule`: YAML or JSON. Throws E_RULE_REJECTED with what is wrong in it, or when it would change nothing on this host
 * or too much.
 */
export function compileCandidate(rule: string, { rules, store, inboundHosts }: CandidateSources): CompiledCandidate {
  if (Buffer.byteLength(rule) > dryRunBounds.ruleBytes)
    throw refusal(`${Buffer.byteLength(rule)} bytes, allowed ${dryRunBounds.ruleBytes}`)
  const candidate = rules.withCandidate(rule)
  const problems = candidate.statuses.flatMap(({ state, problems: found }) => (state === 'applied' ? [] : found))
  if (problems.length > 0) throw refusal(problems.map(({ path, message }) => `${path}: ${message}`).join('; '))
  const isAffected = (key: ServiceKey): boolean => candidate.affected === 'all' || candidate.affected.has(key)
  const virtualHosts: Record<string, VirtualHostSpec> = {}
  const take = (then: VirtualHostSpec): void => {
    const now = store.virtualHost(then.name)
    if (now !== undefined && !isDeepStrictEqual(withoutOrigins(now), withoutOrigins(then)))
      virtualHosts[then.name] = then
  }
  const leadsTo = new Set<ServiceKey>()
  for (const { name } of store.allVirtualHosts()) {
    const key = name as ServiceKey
    if (!isAffected(key) || isInbound(key)) continue
    const { spec, services } = candidate.rules.virtualHost(key)
    take(spec)
    for (const service of services) leadsTo.add(service)
  }
  for (const host of inboundHosts(candidate.rules)) take(host)
  const services: Record<ServiceKey, CandidateService> = {}
  for (const { key, policy, subsets, portPolicies } of store.allServices()) {
    if (!isAffected(key) || isInbound(key)) continue
    const then = candidate.rules.service(key)
    const now = { policy, subsets, portPolicies }
    if (!isDeepStrictEqual(withoutOrigins(now), withoutOrigins(then))) services[key] = then
  }
  const touched = Object.keys(virtualHosts).length + Object.keys(services).length
  if (touched > dryRunBounds.hosts)
    throw refusal(`it touches ${touched} virtual hosts and services, allowed ${dryRunBounds.hosts}`)
  if (touched === 0)
    throw refusal(
      'nothing would be otherwise on this host: nobody here uses what it is about, or it says what holds already',
    )
  const names = candidate.statuses.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`)
  return { virtualHosts, services, names, leadsTo: [...leadsTo].filter((key) => store.service(key) === undefined) }
}

/** Before a local application: no service of a registry. */
function isInbound(key: ServiceKey): boolean {
  return key.startsWith(`${inboundNamespace}/`)
}

/** Where a value came from makes no difference to a request. */
function withoutOrigins(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, below: unknown) => (name === 'origin' || name === 'origins' ? undefined : below)),
  )
}

function refusal(why: string): MeshError {
  return new MeshError('E_RULE_REJECTED', `the rule of the dry run: ${why}`)
}
