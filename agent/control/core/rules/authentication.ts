/** Which RequestAuthentications hold before an application, as plain data, and whose keys they need. */
import type { AuthenticationSpec, JwtRuleSpec, PublicKeySpec } from '../../../../contracts/authentication-spec.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import { isAboutCalls } from './authorization.ts'
import { filterField } from './filter-order.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import type { InboundApplication, KeySource } from './types.ts'
import { isBefore } from './workload-scope.ts'

type Resource = ResourceOf<'RequestAuthentication'>
type Rule = NonNullable<Resource['spec']['jwtRules']>[number]

/** Istio's. */
const fetchTimeoutMs = 5000

/** Keys by the id of their source. */
export type KeySets = ReadonlyMap<string, readonly PublicKeySpec[]>

export function inboundAuthentication(
  key: ServiceKey,
  application: InboundApplication,
  index: RuleIndex,
  scope: HostScope,
  keys: KeySets,
): AuthenticationSpec | undefined {
  return specOf(
    index.requestAuthentications.filter(
      (one) => one.annotations.side === 'Inbound' && isBefore(one, key, application.labels, scope),
    ),
    keys,
  )
}

/** Of those that stand where local applications call the service. */
export function outboundAuthentication(
  key: ServiceKey,
  index: RuleIndex,
  scope: HostScope,
  keys: KeySets,
): AuthenticationSpec | undefined {
  return specOf(
    index.requestAuthentications.filter(
      (one) => one.annotations.side === 'Outbound' && isAboutCalls(one, key, index, scope),
    ),
    keys,
  )
}

function specOf(resources: readonly Resource[], keys: KeySets): AuthenticationSpec | undefined {
  const rules = resources.flatMap(({ name, namespace, spec }) =>
    (spec.jwtRules ?? []).map((rule) => ruleSpec(rule, `${namespace}/${name}`, keys)),
  )
  return rules.length === 0 ? undefined : { rules: rules.slice(0, 100) }
}

export function withAuthentication(
  host: VirtualHostSpec,
  authentication: AuthenticationSpec | undefined,
): VirtualHostSpec {
  if (authentication === undefined) return host
  const entry = { kind: 'jwt' } as const
  return {
    ...host,
    authentication,
    http: host.http.map((route) => ({ ...route, ...filterField([...(route.filters ?? []), entry]) })),
  }
}

/** Tokens are read before a route is chosen, which may go by what they say. */
export function verifiedFirst(host: VirtualHostSpec, authentication: AuthenticationSpec | undefined): VirtualHostSpec {
  return authentication === undefined ? host : { ...host, authentication, verifiesFirst: true }
}

/** Each once, by its id. */
export function keySources(index: RuleIndex): KeySource[] {
  const sources = new Map<string, KeySource>()
  for (const { spec } of index.requestAuthentications) {
    for (const rule of spec.jwtRules ?? []) {
      const source = sourceOf(rule)
      if (source !== undefined) sources.set(source.id, source)
    }
  }
  return [...sources.values()]
}

/** undefined: the keys stand in the rule. */
function sourceOf({ issuer, jwks, jwksUri, timeout = fetchTimeoutMs }: Rule): KeySource | undefined {
  if (jwks !== undefined) return undefined
  if (jwksUri !== undefined) return { id: jwksUri, url: jwksUri, isDiscovery: false, timeoutMs: timeout }
  return { id: `issuer ${issuer}`, url: issuer, isDiscovery: true, timeoutMs: timeout }
}

const usualHeader = { name: 'authorization', prefix: 'Bearer ' }
const usualParam = 'access_token'

function ruleSpec(rule: Rule, policy: string, keySets: KeySets): JwtRuleSpec {
  const { fromCookies = [], fromHeaders = [], fromParams = [] } = rule
  const source = sourceOf(rule)
  const keys = source === undefined ? rule.jwks : keySets.get(source.id)
  const isUsual = fromHeaders.length + fromParams.length + fromCookies.length === 0
  return {
    policy,
    issuer: rule.issuer,
    ...(rule.audiences === undefined ? {} : { audiences: rule.audiences }),
    ...(keys === undefined ? {} : { keys }),
    fromHeaders: isUsual ? [usualHeader] : fromHeaders.map(({ name, prefix = '' }) => ({ name, prefix })),
    fromParams: isUsual ? [usualParam] : fromParams,
    fromCookies,
    ...(rule.forwardOriginalToken === true ? { forwardsToken: true } : {}),
    ...(rule.outputPayloadToHeader === undefined ? {} : { payloadHeader: rule.outputPayloadToHeader }),
    ...(rule.outputClaimToHeaders === undefined ? {} : { claimHeaders: rule.outputClaimToHeaders }),
    ...(rule.spaceDelimitedClaims === undefined ? {} : { spacedClaims: rule.spaceDelimitedClaims }),
  }
}

/** Whose keys are not there, for the status of the resource. */
export function keyNotes(resource: RuleResource, problems: ReadonlyMap<string, string>): RuleProblem[] {
  if (resource.kind !== 'RequestAuthentication') return []
  return (resource.spec.jwtRules ?? []).flatMap((rule, at) => {
    const source = sourceOf(rule)
    const problem = source === undefined ? undefined : problems.get(source.id)
    if (problem === undefined) return []
    const message = `no keys of ${rule.issuer} yet, so no token of it is good: ${problem}`
    return [{ path: `spec.jwtRules[${at}]`, line: 1, column: 1, message }]
  })
}
