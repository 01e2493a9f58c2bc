/** Which of the policies of a service holds for one way to reach it. */
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'

/** undefined when the service has no such subset. */
export function policyOf(
  spec: Pick<ServiceSpec, 'policy' | 'subsets' | 'portPolicies'>,
  subset: string | undefined,
  port: number | undefined,
): TrafficPolicySpec | undefined {
  const part = subset === undefined ? spec : spec.subsets[subset]
  return (port === undefined ? undefined : part?.portPolicies?.[port]) ?? part?.policy
}
