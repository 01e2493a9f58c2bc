/** Delays on purpose: a share of the requests waits. Drawn before and independently of an abort, as in Istio. */
import type { FaultDelaySpec, FilterSpec } from '../../../contracts/route-spec.ts'
import { percent } from '../route/percent.ts'
import { isDrawn } from './draw.ts'
import type { Filter, FilterContext, FilterCounts, FilterVerdict, Wait } from './filter.ts'
import type { FilterKind } from './kind.ts'

export const faultDelayKind: FilterKind<Extract<FilterSpec, { kind: 'fault-delay' }>, Filter> = {
  kind: 'fault-delay',
  make: (spec, { counts }) => new FaultDelay(spec, counts),
}

class FaultDelay implements Filter {
  readonly kind = 'fault-delay'
  private readonly share: number
  private readonly wait: Wait
  private readonly counts: FilterCounts

  constructor({ fixedMs, share }: FaultDelaySpec, counts: FilterCounts) {
    this.share = share
    this.wait = { kind: 'wait', ms: fixedMs, flag: 'DI', call: null }
    this.counts = counts
  }

  onRequest({ random }: FilterContext): FilterVerdict {
    if (!isDrawn(this.share, random)) return null
    this.counts.faultDelays++
    return this.wait
  }

  explain(): string {
    return `delays ${percent(this.share)} by ${this.wait.ms} ms`
  }
}
