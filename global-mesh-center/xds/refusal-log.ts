/** What clients refuse is counted one by one and logged at most once in a while for each stream. */
import { LogPause } from '../../contracts/log-pause.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'

export class RefusalLog {
  private readonly deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>
  private untold = 0
  private readonly pause = new LogPause()

  constructor(deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>) {
    this.deps = deps
  }

  add(who: string, typeUrl: string, message: string): void {
    const { clock, log, metrics } = this.deps
    metrics.count('xds_refused', {})
    if (!this.pause.allows(clock.monotonic())) {
      this.untold++
      return
    }
    const more = this.untold === 0 ? '' : ` (and ${this.untold} times before, untold)`
    this.untold = 0
    const node = who.slice(0, 200)
    log.warn({ node, typeUrl: typeUrl.slice(0, 200) }, `xds: ${node} refuses: ${message.slice(0, 500)}${more}`)
  }
}
