/**
 * Says things that may happen to a thousand services at once: the first one at once, with the name of the service; what
 * follows within a few seconds is summed up in one line. A restarted server must not fill the log of every host.
 */
import type { Clock } from '../../../contracts/clock.ts'
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'

export interface Said {
  readonly service: string
  readonly instances: number
}

/** Between two lines of the same words. */
const pauseMs = 5000
/** Names of services in a line that sums up. */
const maxNames = 5

interface Sum {
  readonly timer: () => void
  readonly services: Set<string>
  more: number
  instances: number
}

/** Beyond this many services of one line, they are counted without looking who was counted already. */
const maxServices = 10_000

export class SummedLog {
  private readonly log: AdapterLog
  private readonly registry: string
  private readonly clock: Clock
  private readonly sums = new Map<string, Sum>()

  constructor(log: AdapterLog, registry: string, clock: Clock) {
    this.clock = clock
    this.log = log
    this.registry = registry
  }

  /** The few texts of `message` are the keys: nothing that varies belongs into them. */
  say(level: 'info' | 'warn', { service, instances }: Said, message: string, more: object = {}): void {
    const sum = this.sums.get(message)
    if (sum === undefined) {
      this.log[level]({ registry: this.registry, service, instances, ...more }, message)
      this.begin(level, message)
      return
    }
    if (sum.services.size < maxServices) sum.services.add(service)
    else sum.more++
    sum.instances += instances
  }

  /** What was not said yet remains unsaid. */
  close(): void {
    for (const sum of this.sums.values()) sum.timer()
    this.sums.clear()
  }

  private begin(level: 'info' | 'warn', message: string): void {
    const timer = this.clock.after(pauseMs, () => {
      const sum = this.sums.get(message)
      this.sums.delete(message)
      if (sum === undefined || sum.services.size === 0) return
      this.log[level](
        {
          registry: this.registry,
          services: sum.services.size + sum.more,
          instances: sum.instances,
          among: [...sum.services].slice(0, maxNames),
        },
        `${message} (the same of further services within ${pauseMs / 1000} s)`,
      )
      this.begin(level, message)
    })
    this.sums.set(message, { timer, services: new Set(), more: 0, instances: 0 })
  }
}
