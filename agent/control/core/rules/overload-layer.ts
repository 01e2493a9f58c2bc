/** What MeshPolicies say of overload: of calls (Outbound), or of what a local application gets (Inbound). */
import type { MeshPolicySpec } from './mesh-policy-shape.ts'
import { originBelow } from './merged-destination-rule.ts'
import { PolicyDraft } from './policy-draft.ts'
import type { OriginAt } from './policy-draft.ts'
import type { InboundPolicy } from './types.ts'

type Side = 'Outbound' | 'Inbound'

/** Envoy's defaults, but for the window of admission control, which is 30 s there. `origin`: of the specification. */
export function applyOverload(draft: PolicyDraft, spec: MeshPolicySpec, origin: OriginAt, side: Side): void {
  const { adaptiveConcurrency: adaptive, admissionControl, callers = [] } = spec
  if (adaptive !== undefined && (adaptive.side ?? 'Outbound') === side) {
    const concurrency = {
      percentile: adaptive.sampleAggregatePercentile ?? 0.5,
      minLimit: adaptive.minConcurrencyLimit ?? 3,
      maxLimit: adaptive.maxConcurrencyLimit ?? 1000,
      updateIntervalMs: adaptive.concurrencyUpdateInterval ?? 100,
      minRttIntervalMs: adaptive.minRttCalcInterval ?? 60_000,
      buffer: adaptive.bufferPercent ?? 0.25,
    }
    draft.set('concurrency', concurrency, origin('adaptiveConcurrency'))
  }
  if (admissionControl !== undefined && (admissionControl.side ?? 'Outbound') === side) {
    const control = {
      successShare: admissionControl.successRateThresholdPercent ?? 0.95,
      aggression: admissionControl.aggression ?? 1,
      minimumRequests: admissionControl.minimumRequests ?? 20,
      windowMs: admissionControl.samplingWindow ?? 10_000,
      maxRejectionShare: admissionControl.maxRejectionPercent ?? 0.8,
    }
    draft.set('admissionControl', control, origin('admissionControl'))
  }
  const limits = callers.filter((one) => (one.side ?? 'Outbound') === side)
  if (limits.length === 0) return
  const own = limits.map(({ caller, maxRequests = 0, weight = 1 }) => ({ caller, maxRequests, weight }))
  draft.set('callers', own, origin('callers'))
}

/** What policies say of the requests that a local application gets; the most specific policy first. */
export function inboundPolicy(
  policies: readonly { readonly spec: MeshPolicySpec; readonly origin: OriginAt }[],
): InboundPolicy {
  const draft = new PolicyDraft()
  for (const { origin, spec } of policies.toReversed()) {
    applyOverload(draft, spec, originBelow(origin, 'spec'), 'Inbound')
  }
  const { admissionControl, callers, concurrency, origins } = draft.build()
  return {
    origins,
    ...(admissionControl === undefined ? {} : { admissionControl }),
    ...(callers === undefined ? {} : { callers }),
    ...(concurrency === undefined ? {} : { concurrency }),
  }
}
