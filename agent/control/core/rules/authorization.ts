/**
 * Which AuthorizationPolicies hold for a virtual host, as plain data. Inbound, in front of an application, as in Istio:
 * those of the root namespace, of the application's namespace, by labels or by the name of its service. Outbound, where
 * a local application calls, the same by the service that is called.
 */
import type {
  AuthorizationPolicySpec,
  AuthorizationRuleSpec,
  AuthorizationSpec,
} from '../../../../contracts/authorization-spec.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { FilterSpec, VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import { filterField } from './filter-order.ts'
import { covers } from './rule-host.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { ResourceOf } from './rule-resource.ts'
import type { InboundApplication } from './types.ts'
import { isBefore, isOfNamespace, targetsOf } from './workload-scope.ts'
import type { TargetRef } from './workload-scope.ts'

type Policy = ResourceOf<'AuthorizationPolicy'>
type CallResource = Policy | ResourceOf<'RequestAuthentication'>

/** Policies that hold for calls of local applications to a service, or to the hosts under a wildcard. */
export function outboundAuthorization(
  key: ServiceKey,
  index: RuleIndex,
  scope: HostScope,
): AuthorizationSpec | undefined {
  const policies = index.authorizationPolicies.filter(
    (policy) => policy.annotations.side === 'Outbound' && isAboutCalls(policy, key, index, scope),
  )
  return policies.length === 0 ? undefined : { trustDomain: scope.trustDomain, policies: policies.map(specOf) }
}

export function inboundAuthorization(
  key: ServiceKey,
  application: InboundApplication,
  index: RuleIndex,
  scope: HostScope,
): AuthorizationSpec | undefined {
  const { address, labels, port } = application
  const policies = index.authorizationPolicies.filter(
    (policy) => policy.annotations.side === 'Inbound' && isBefore(policy, key, labels, scope),
  )
  if (policies.length === 0) return undefined
  return { trustDomain: scope.trustDomain, destination: { address, port }, policies: policies.map(specOf) }
}

/** Every route asks them. */
export function withAuthorization(
  host: VirtualHostSpec,
  authorization: AuthorizationSpec | undefined,
  scope: Pick<HostScope, 'authorizers'>,
): VirtualHostSpec {
  if (authorization === undefined) return host
  const entries = [...askingEntries(authorization, scope), { kind: 'authorization' } as const]
  return {
    ...host,
    authorization,
    http: host.http.map((route) => ({ ...route, ...filterField([...(route.filters ?? []), ...entries]) })),
    tcp: host.tcp.map((route) => ({ ...route, ...filterField([...(route.filters ?? []), ...entries]) })),
  }
}

type AskingEntry = Extract<FilterSpec, { readonly kind: 'ext-authz' }>

/**
 * One for each authorizer that CUSTOM policies name; one that the configuration does not have refuses what is for it.
 */
function askingEntries(
  { policies }: AuthorizationSpec,
  { authorizers }: Pick<HostScope, 'authorizers'>,
): AskingEntry[] {
  const names = policies.filter(({ isDryRun }) => isDryRun !== true).flatMap(({ provider }) => provider ?? [])
  return [...new Set(names)].toSorted().map((provider): AskingEntry => {
    const authorizer = authorizers.get(provider)
    return { kind: 'ext-authz', provider, ...(authorizer === undefined ? {} : { authorizer }) }
  })
}

/** Whether it stands where the service, or a host under the wildcard, is called. */
export function isAboutCalls(policy: CallResource, key: ServiceKey, index: RuleIndex, scope: HostScope): boolean {
  if (!isOfNamespace(policy, key, scope)) return false
  const targets = targetsOf(policy.spec)
  return targets.length === 0 || targets.some((target) => isTargetRef(target, policy, key, index))
}

/** A wildcard is meant too where the service that is named has no host of its own and is reached by the wildcard's. */
function isTargetRef(
  { kind, name, namespace }: TargetRef,
  policy: CallResource,
  key: ServiceKey,
  index: RuleIndex,
): boolean {
  if (namespace !== undefined && namespace !== policy.namespace) return false
  if (kind === 'ServiceEntry') {
    const entry = index.serviceEntries.find(key)
    return entry !== undefined && entry.name === name && entry.namespace === policy.namespace
  }
  const wanted = policy.reader.resolve(name)
  if (wanted === key) return true
  const wildcard = index.virtualServices.wildcards().find(({ host }) => host.key === key)
  return wildcard !== undefined && covers(wildcard.host, wanted)
}

/** The same object for the same resource, so that comparing snapshots costs nothing. */
const made = new WeakMap<Policy, AuthorizationPolicySpec>()

function specOf(policy: Policy): AuthorizationPolicySpec {
  const known = made.get(policy)
  if (known !== undefined) return known
  const { annotations, name, namespace, spec } = policy
  const compiled: AuthorizationPolicySpec = {
    namespace,
    name,
    action: spec.action ?? 'ALLOW',
    ...(annotations.isDryRun ? { isDryRun: true } : {}),
    ...(spec.provider === undefined ? {} : { provider: spec.provider.name }),
    rules: (spec.rules ?? []).map((rule) => ruleSpec(rule, namespace)),
  }
  made.set(policy, compiled)
  return compiled
}

type Rule = NonNullable<Policy['spec']['rules']>[number]

function ruleSpec({ from, to, when }: Rule, namespace: string): AuthorizationRuleSpec {
  const account = (written: string): string => (written.includes('/') ? written : `${namespace}/${written}`)
  return {
    ...(from === undefined
      ? {}
      : {
          from: from.map(({ source: { notServiceAccounts, serviceAccounts, ...source } }) => ({
            ...defined(source),
            ...(serviceAccounts === undefined ? {} : { serviceAccounts: serviceAccounts.map(account) }),
            ...(notServiceAccounts === undefined ? {} : { notServiceAccounts: notServiceAccounts.map(account) }),
          })),
        }),
    ...(to === undefined ? {} : { to: to.map(({ operation }) => defined(operation)) }),
    ...(when === undefined ? {} : { when: when.map((one) => defined(one)) }),
  }
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> }

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
