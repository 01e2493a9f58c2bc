/** A store that can be read and refuses what is to be written: it is not all right until it takes a change again. */
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'

export class LastRefusal {
  private readonly store: string
  private readonly log: AdapterLog
  private reason: string | undefined

  /** `store`: what it is called for people. */
  constructor(store: string, log: AdapterLog) {
    this.store = store
    this.log = log
  }

  get problem(): string | undefined {
    return this.reason === undefined ? undefined : `${this.store} refused the last change: ${this.reason}`
  }

  refused(reason: string): void {
    if (this.reason === reason) return
    this.reason = reason
    this.log.error({ code: 'E_STORE_UNAVAILABLE' }, `${this.problem}; the rules in force stay`)
  }

  taken(): void {
    if (this.reason === undefined) return
    this.reason = undefined
    this.log.info({}, `${this.store}: takes changes again`)
  }
}
