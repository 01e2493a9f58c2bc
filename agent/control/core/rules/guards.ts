/** Where rules stand that nobody may go around: what the relay may carry, and what local callers may reach directly. */
import type { AuthorizationPolicySpec } from '../../../../contracts/authorization-spec.ts'
import type { FilterSpec, VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { KnownFilter, UserFilters } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { InboundPolicy } from './types.ts'

/**
 * Whether a policy or a filter of users can refuse a call, or a token decides what the application is told: whoever
 * carries traffic without asking must not do so then.
 */
export function isGuarded(host: VirtualHostSpec | undefined): boolean {
  if (host === undefined) return false
  return (
    host.authentication !== undefined ||
    host.authorization?.policies.some(decides) === true ||
    host.http.some(({ filters }) => filters?.some(mayRefuse))
  )
}

/**
 * Whether anything stands before an application: those who could reach it directly come by its inbound port like all
 * others then.
 */
export function hasRulesBefore(host: VirtualHostSpec | undefined, policy: InboundPolicy | undefined): boolean {
  if (isGuarded(host)) return true
  if (policy?.callers ?? policy?.concurrency ?? policy?.admissionControl) return true
  return [...(host?.http ?? []), ...(host?.tcp ?? [])].some(({ filters }) => filters !== undefined)
}

/** Whether calls of local applications are judged at all, or led by the tokens that they bring. */
export function guardsCalls(index: RuleIndex, userFilters: UserFilters): boolean {
  return (
    index.requestAuthentications.some(({ annotations }) => annotations.side === 'Outbound') ||
    index.authorizationPolicies.some(
      ({ annotations, spec }) => annotations.side === 'Outbound' && spec.action !== 'AUDIT' && !annotations.isDryRun,
    ) ||
    index.meshPolicies.some(({ spec }) =>
      spec.filters?.some(({ name, side = 'Outbound' }) => side === 'Outbound' && isStrict(userFilters.get(name))),
    )
  )
}

/** Whether requests that it has not seen must not go on. One that the host does not have refuses all. */
export function isStrict(filter: KnownFilter | undefined): boolean {
  return filter === undefined || (!filter.failOpen && filter.builtin !== 'compression')
}

function decides({ action, isDryRun }: Pick<AuthorizationPolicySpec, 'action' | 'isDryRun'>): boolean {
  return action !== 'AUDIT' && isDryRun !== true
}

function mayRefuse(filter: FilterSpec): boolean {
  return filter.kind === 'user' && filter.isStrict === true
}
