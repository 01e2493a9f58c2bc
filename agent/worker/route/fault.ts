/**
 * Faults on purpose. Delay and abort are drawn independently, the delay first, as in Istio; the chain serves a delay once and goes on behind it.
 */
import type { FaultSpec, RuleOrigin } from '../../../contracts/route-spec.ts'
import { refusal } from './local-reply.ts'
import type { Filter, FilterCounts, FilterVerdict } from './types.ts'

export function faultFilters(spec: FaultSpec | undefined, origin: RuleOrigin, counts: FilterCounts): Filter[] {
  const filters: Filter[] = []
  if (spec?.delay !== undefined) {
    const verdict: FilterVerdict = { kind: 'delay', ms: spec.delay.fixedMs }
    filters.push(drawn('fault-delay', spec.delay.share, verdict, () => counts.faultDelays++))
  }
  if (spec?.abort !== undefined) {
    const text = `fault injected by ${origin.kind} ${origin.name} ${origin.path}.fault`
    const reply = refusal(spec.abort.status, 'E_FAULT_INJECTED', 'FI', text)
    filters.push(drawn('fault-abort', spec.abort.share, reply, () => counts.faultAborts++))
  }
  return filters
}

function drawn(name: string, share: number, verdict: FilterVerdict, count: () => void): Filter {
  return {
    name,
    onRequest(context) {
      if (share < 1 && context.random() >= share) return null
      count()
      return verdict
    },
  }
}
