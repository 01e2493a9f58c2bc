import { Allowance } from './allowance.ts'
import type { Http2Deps } from './deps.ts'
import { H2Error } from './frames.ts'
import { idleFrameBudget, resetBudget, windowBudget } from './limits.ts'

/** What a peer may do that costs us and brings it nothing. An allowance that is used up ends its connection. */
export class Misuse {
  private readonly deps: Http2Deps
  private readonly fail: (code: H2Error, why: string) => false
  private readonly resets = new Allowance(resetBudget)
  private readonly idleFrames = new Allowance(idleFrameBudget)
  private readonly windowUpdates = new Allowance(windowBudget)

  constructor(deps: Http2Deps, fail: (code: H2Error, why: string) => false) {
    this.deps = deps
    this.fail = fail
  }

  /** A stream was given up by the peer, or made us give it up. */
  reset(): void {
    if (this.resets.spend(this.deps.clock.now)) return
    this.deps.tallies.http2ResetFloods++
    this.fail(H2Error.enhanceYourCalm, 'too many streams reset')
  }

  /** A frame that carries nothing. */
  idleFrame(): void {
    if (this.idleFrames.spend(this.deps.clock.now)) return
    this.deps.tallies.http2FrameFloods++
    this.fail(H2Error.enhanceYourCalm, 'too many frames that carry nothing')
  }

  /** A window update that no content of ours explains. */
  windowUpdate(): void {
    if (this.windowUpdates.spend(this.deps.clock.now)) return
    this.deps.tallies.http2FrameFloods++
    this.fail(H2Error.enhanceYourCalm, 'too many window updates')
  }

  /** A header block of more bytes or frames than the limit. */
  largeBlock(): false {
    this.deps.tallies.http2HeadFloods++
    return this.fail(H2Error.enhanceYourCalm, 'header block larger than the limit')
  }
}
