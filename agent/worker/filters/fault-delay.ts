/** Delays on purpose: a share of the requests waits. Drawn before and independently of an abort, as in Istio. */
import type { FaultSpec } from '../../../contracts/route-spec.ts'
import { percent } from '../route/percent.ts'
import { isDrawn } from './draw.ts'
import type { Filter, FilterContext, FilterCounts, FilterVerdict, Wait } from './filter.ts'
import type { FilterKind } from './kind.ts'

type DelaySpec = NonNullable<FaultSpec['delay']>

export const faultDelayKind: FilterKind = {
  kind: 'fault-delay',
  make({ counts, route: { fault } }) {
    return fault?.delay === undefined ? [] : [new FaultDelay(fault.delay, counts)]
  },
}

class FaultDelay implements Filter {
  readonly kind = 'fault-delay'
  private readonly share: number
  private readonly wait: Wait
  private readonly counts: FilterCounts

  constructor({ fixedMs, share }: DelaySpec, counts: FilterCounts) {
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
