/**
 * Host names in rules, as service keys.
 *
 * | written | means |
 * |---|---|
 * | `orders` | service `orders` where the rule's namespace leads to |
 * | `orders.PAYMENTS` | of group `PAYMENTS`, if that is a known group or namespace (`HostScope`); else a service with a
 * dot in its name | | `PAYMENTS@@orders` | the same, in Nacos's words |
 * | `prod/PAYMENTS@@orders` | in namespace `prod`, whatever the rule's own |
 * | `orders.prod.svc.cluster.local`, `orders.prod.svc` | service `orders` where the namespace `prod` leads to |
 * | `*.example.com` | every host below `example.com` that has no rule of its own |
 * | `*.prod.svc.cluster.local` | every service without a dot in its name where `prod` leads to; `*.svc.cluster.local`
 * and `*.local`: everywhere | | `*` | everything |
 */
import { parseServiceName, serviceKey } from '../../../../contracts/endpoint.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RateLimitServices } from './global-rate-limits.ts'
import type { ExternalAuthorizerSpec } from '../../../../contracts/external-authorizer-spec.ts'
import type { UserFilterSpec } from '../../../../contracts/user-filter-spec.ts'

export interface HostScope {
  readonly namespace: string
  readonly group: string
  /** Groups that may stand behind a dot, beside the default one. */
  readonly groups: readonly string[]
  /** Namespaces of the registries. */
  readonly namespaces: readonly string[]
  /** What the operator says that a namespace of a rule means. */
  readonly namespaceMap: Readonly<Record<string, Place>>
  /** Every other namespace: `own` = where names without a namespace are, `separate` = a namespace of that name. */
  readonly otherNamespaces: 'own' | 'separate'
  /** `cluster.local` */
  readonly clusterDomain: string
  /** Who may be named by CUSTOM policies. */
  readonly authorizers: ReadonlyMap<string, ExternalAuthorizerSpec>
  /** Filters of users that this host has. */
  readonly userFilters: UserFilters
  /** Who may be named by limits that hosts share. */
  readonly rateLimitServices: RateLimitServices
  /** Its policies hold for everybody. */
  readonly rootNamespace: string
  /** Of identities of local applications. */
  readonly trustDomain: string
  /** What is read was told to this host alone: it decides before all others. */
  readonly isLocal: boolean
}

/** What rules have to know of a filter of a user. */
export type KnownFilter = Pick<UserFilterSpec, 'builtin' | 'failOpen'>

/** By their names. */
export type UserFilters = ReadonlyMap<string, KnownFilter>

/** With what holds where nothing is said. */
export function hostScope(options: Partial<HostScope> & Place): HostScope {
  return {
    namespace: options.namespace,
    group: options.group,
    groups: options.groups ?? [],
    namespaces: options.namespaces ?? [],
    namespaceMap: options.namespaceMap ?? {},
    otherNamespaces: options.otherNamespaces ?? 'own',
    clusterDomain: options.clusterDomain ?? 'cluster.local',
    authorizers: options.authorizers ?? new Map(),
    userFilters: options.userFilters ?? new Map(),
    rateLimitServices: options.rateLimitServices ?? new Map(),
    rootNamespace: options.rootNamespace ?? 'istio-system',
    trustDomain: options.trustDomain ?? 'cluster.local',
    isLocal: options.isLocal ?? false,
  }
}

/** Where the services of a namespace are. */
export interface Place {
  readonly namespace: string
  readonly group: string
}

export interface RuleHost {
  readonly key: ServiceKey
  /** As written. */
  readonly text: string
  /** For `*.suffix`: the suffix with its dot, lower case; empty for `*`. */
  readonly suffix: string | undefined
  /** For a wildcard over a cluster's own names: the services that it is about; absent parts are any. */
  readonly every?: Partial<Place>
}

/** The namespace of a rule (`metadata.namespace`, or the one in a cluster's name) as a place, and why. */
export function placeOf(namespace: string, scope: HostScope): Place & { readonly why: string } {
  const { group } = scope
  const own = { namespace: scope.namespace, group }
  if (namespace === '') return { ...own, why: 'no namespace' }
  const mapped = Object.hasOwn(scope.namespaceMap, namespace) ? scope.namespaceMap[namespace] : undefined
  if (mapped !== undefined) return { ...mapped, why: `rules.namespaces.${namespace}` }
  if (namespace === scope.namespace) return { ...own, why: 'the own namespace' }
  if (scope.namespaces.includes(namespace)) return { namespace, group, why: 'the namespace of a registry' }
  const known = knownGroup(namespace, scope)
  if (known !== undefined) return { namespace: scope.namespace, group: known, why: 'a group of a registry' }
  return scope.otherNamespaces === 'own'
    ? { ...own, why: 'rules.otherNamespaces: own' }
    : { namespace, group, why: 'rules.otherNamespaces: separate' }
}

/** undefined for a text that is no host name. */
export function parseRuleHost(text: string, place: Place, scope: HostScope): RuleHost | undefined {
  if (text === '*' || text.startsWith('*.')) {
    const suffix = text.slice(1).toLowerCase()
    if (!/^(?:\.[a-z0-9_-]+)*$/.test(suffix) || suffix.length > 255) return undefined
    const key = serviceKey({ ...place, name: `*${suffix}` })
    const every = clusterWildcard(suffix, scope)
    return every === undefined ? { key, text, suffix } : { key, text, suffix, every }
  }
  const key = parseHostName(text, place, scope)
  return key === undefined ? undefined : { key, text, suffix: undefined }
}

/** A name that leads to one service. */
export function parseHostName(text: string, place: Place, scope: HostScope): ServiceKey | undefined {
  const plain = text.endsWith('.') && !text.includes('@@') ? text.slice(0, -1) : text
  if (plain.includes('@@') || plain.includes('/')) return keyOf(plain, place)
  const inCluster = clusterName(plain, scope)
  if (inCluster !== undefined) return keyOf(inCluster.name, placeOf(inCluster.namespace, scope))
  const dotted = behindDot(plain, place, scope)
  return dotted === undefined ? keyOf(plain, place) : keyOf(dotted.name, dotted.place)
}

function keyOf(text: string, { namespace, group }: Place): ServiceKey | undefined {
  const parsed = parseServiceName(text, { namespace, group })
  return parsed === undefined ? undefined : serviceKey(parsed)
}

/** `orders.prod.svc.cluster.local` and `orders.prod.svc` in two. */
function clusterName(text: string, scope: HostScope): { name: string; namespace: string } | undefined {
  const lower = text.toLowerCase()
  const ending = [`.svc.${scope.clusterDomain}`, '.svc'].find((one) => lower.endsWith(one))
  if (ending === undefined) return undefined
  const rest = text.slice(0, -ending.length)
  const dot = rest.lastIndexOf('.')
  return dot <= 0 || dot === rest.length - 1 ? undefined : { name: rest.slice(0, dot), namespace: rest.slice(dot + 1) }
}

/** Which of a cluster's names a wildcard is about; undefined for a wildcard over other names. */
function clusterWildcard(suffix: string, scope: HostScope): Partial<Place> | undefined {
  const domain = `.${scope.clusterDomain}`
  if (suffix === '') return undefined
  if (`.svc${domain}`.endsWith(suffix) && `.svc${domain}`.at(-suffix.length) === '.') return {}
  const ending = [`.svc${domain}`, '.svc'].find((one) => suffix.endsWith(one) && suffix !== one)
  const namespace = ending === undefined ? undefined : suffix.slice(1, -ending.length)
  if (namespace === undefined || namespace.includes('.')) return suffix === '.svc' ? {} : undefined
  const place = placeOf(namespace, scope)
  return { namespace: place.namespace, group: place.group }
}

/** Groups and namespaces have a case, Host headers have none: compared without it, the known spelling counts. */
function behindDot(text: string, own: Place, scope: HostScope): { name: string; place: Place } | undefined {
  const dot = text.lastIndexOf('.')
  if (dot <= 0) return undefined
  const last = text.slice(dot + 1)
  const name = text.slice(0, dot)
  const group = knownGroup(last, scope)
  if (group !== undefined) return { name, place: { namespace: own.namespace, group } }
  const known = [...Object.keys(scope.namespaceMap), ...scope.namespaces].find(
    (one) => one.toLowerCase() === last.toLowerCase(),
  )
  return known === undefined ? undefined : { name, place: placeOf(known, scope) }
}

function knownGroup(text: string, scope: HostScope): string | undefined {
  return [scope.group, ...scope.groups].find((known) => known.toLowerCase() === text.toLowerCase())
}

/**
 * Why a host reads as it does, where a namespace or the name of a cluster decided; undefined where it is as it is
 * written.
 */
export function readingOf(host: RuleHost, namespace: string, scope: HostScope): string | undefined {
  const inCluster = clusterName(host.text, scope)
  if (host.text.includes('@@') || host.text.includes('/')) return undefined
  if (host.every !== undefined)
    return `a wildcard over names of the cluster (rules.clusterDomain: ${scope.clusterDomain})`
  if (inCluster !== undefined) return `namespace ${inCluster.namespace}: ${placeOf(inCluster.namespace, scope).why}`
  return namespace === scope.namespace ? undefined : `namespace ${namespace}: ${placeOf(namespace, scope).why}`
}

/** Whether a host of a rule is about the service of this key. */
export function covers(host: RuleHost, key: ServiceKey): boolean {
  if (host.key === key) return true
  if (host.suffix === undefined) return false
  const name = nameOfKey(key)
  if (host.every !== undefined) {
    const { namespace, group } = host.every
    return (
      !name.includes('.') &&
      (namespace === undefined || namespace === namespaceOfKey(key)) &&
      (group === undefined || group === groupOfKey(key))
    )
  }
  if (namespaceOfKey(host.key) !== namespaceOfKey(key)) return false
  return name.length > host.suffix.length && name.toLowerCase().endsWith(host.suffix)
}

/** Name part of a key. */
export function nameOfKey(key: ServiceKey): string {
  return key.slice(key.indexOf('@@') + 2)
}

export function namespaceOfKey(key: ServiceKey): string {
  return key.slice(0, key.indexOf('/'))
}

export function groupOfKey(key: ServiceKey): string {
  return key.slice(key.indexOf('/') + 1, key.indexOf('@@'))
}
