/** Failures on purpose: a share of the requests is answered with an error. */
import type { FaultAbortSpec, FilterSpec, RuleOrigin } from '../../../contracts/route-spec.ts'
import { percent } from '../route/percent.ts'
import { refusal } from './answer.ts'
import type { Answer } from './answer.ts'
import { isDrawn } from './draw.ts'
import type { Filter, FilterContext, FilterCounts, FilterVerdict } from './filter.ts'
import type { FilterKind } from './kind.ts'

export const faultAbortKind: FilterKind<Extract<FilterSpec, { kind: 'fault-abort' }>, Filter> = {
  kind: 'fault-abort',
  make: (spec, { counts, route }) => new FaultAbort(spec, route.origin, counts),
}

class FaultAbort implements Filter {
  readonly kind = 'fault-abort'
  private readonly share: number
  private readonly answer: Answer
  private readonly counts: FilterCounts

  constructor({ share, status }: FaultAbortSpec, origin: RuleOrigin, counts: FilterCounts) {
    const text = `fault injected by ${origin.kind} ${origin.name} ${origin.path}.fault`
    this.share = share
    this.answer = refusal(status, 'E_FAULT_INJECTED', 'FI', text)
    this.counts = counts
  }

  onRequest({ random }: FilterContext): FilterVerdict {
    if (!isDrawn(this.share, random)) return null
    this.counts.faultAborts++
    return this.answer
  }

  explain(): string {
    return `aborts ${percent(this.share)} with ${this.answer.status}`
  }
}
