/**
 * Names that callers may use as they are written in a rule, in lower case: hosts compare without case, names keep
 * theirs. A rule of another namespace lends its name only if it has a dot: a plain `orders` means the caller's own.
 * Plain addresses of a ServiceEntry are names of its first host.
 */
import { isIP } from 'node:net'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { namespaceOfKey } from './rule-host.ts'
import type { HostScope, RuleHost } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'

export interface DeclaredNames {
  readonly names: ReadonlyMap<string, ServiceKey>
  /** By id of the resource: hosts that are not reached by their name, since another one differs by case only. */
  readonly clashes: ReadonlyMap<string, readonly RuleProblem[]>
}

export function declaredNames(index: RuleIndex, scope: HostScope): DeclaredNames {
  const names = new Map<string, ServiceKey>()
  const texts = new Map<string, string>()
  const clashes = new Map<string, RuleProblem[]>()
  const claims = [...index.virtualServices.claims(), ...index.serviceEntries.claims()] as readonly {
    readonly resource: RuleResource
    readonly host: RuleHost
  }[]
  const add = (resource: RuleResource, host: RuleHost): void => {
    const name = withoutDot(host.text.toLowerCase())
    const former = names.get(name)
    if (former === undefined) {
      names.set(name, host.key)
      texts.set(name, host.text)
    } else if (former !== host.key && former.toLowerCase() === host.key.toLowerCase()) {
      const position = resource.hostPositions[resource.hosts?.indexOf(host) ?? 0] ?? { line: 1, column: 1 }
      const message = `${host.text} and ${texts.get(name)} differ by case only; Host has no case and leads to ${texts.get(name)}`
      clashes.set(resource.id, [...(clashes.get(resource.id) ?? []), { path: 'spec.hosts', ...position, message }])
    }
  }
  const isOwn = ({ host }: { readonly host: RuleHost }): boolean => namespaceOfKey(host.key) === scope.namespace
  for (const claim of claims) if (isOwn(claim)) add(claim.resource, claim.host)
  for (const claim of claims) if (!isOwn(claim) && claim.host.text.includes('.')) add(claim.resource, claim.host)
  for (const { resource, host } of index.serviceEntries.claims()) {
    if (resource.hosts?.[0] !== host) continue
    for (const address of addressesOf(resource)) if (!names.has(address)) names.set(address, host.key)
  }
  return { names, clashes }
}

/** Addresses of an entry that are no networks, in lower case. */
export function addressesOf(entry: ResourceOf<'ServiceEntry'>): string[] {
  return (entry.spec.addresses ?? []).filter((one) => isIP(one) !== 0).map((one) => one.toLowerCase())
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
