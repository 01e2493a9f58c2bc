/**
 * Services that somebody told this host of while it runs: a localhost port of its own for each, beside those of
 * `agent.yaml`, which wins about a service that both name. They stay until they are taken back or their time is over,
 * also over restarts.
 */
import { serviceKey, type ServiceKey } from '../../../../contracts/endpoint.ts'
import type { OutboundService } from '../../config/types.ts'
import type { Clock } from '../../clock.ts'

export interface ToldService extends OutboundService {
  /** Epoch ms; undefined = until it is taken back. */
  readonly until: number | undefined
}

export interface ToldServicesDeps {
  readonly clock: Clock
  /** There are others now: listen anew, and keep them. */
  readonly onChanged: () => void
}

/** Services that one host is told of. */
export const maxToldServices = 1000

export class ToldServices {
  private readonly deps: ToldServicesDeps
  private services = new Map<ServiceKey, ToldService>()
  private cancel = (): void => undefined

  constructor(deps: ToldServicesDeps) {
    this.deps = deps
  }

  /** By service. What is over by the wall clock is not among them, whenever it is taken away. */
  all(): readonly ToldService[] {
    const now = this.deps.clock.wall()
    return [...this.services.values()]
      .filter(({ until }) => until === undefined || until > now)
      .toSorted((a, b) => (serviceKey(a.service) < serviceKey(b.service) ? -1 : 1))
  }

  /** False: there are {@link maxToldServices} already. */
  put(service: ToldService): boolean {
    const key = serviceKey(service.service)
    if (!this.services.has(key) && this.services.size >= maxToldServices) return false
    this.services.set(key, service)
    this.changed()
    return true
  }

  remove(key: ServiceKey): boolean {
    if (!this.services.delete(key)) return false
    this.changed()
    return true
  }

  /** As the last run, or whoever led until now, left them. */
  adopt(kept: readonly ToldService[]): void {
    this.services = new Map(kept.map((one) => [serviceKey(one.service), one]))
    this.changed()
  }

  close(): void {
    this.cancel()
  }

  private changed(): void {
    this.wait()
    this.deps.onChanged()
  }

  private wait(): void {
    this.cancel()
    const next = Math.min(...[...this.services.values()].map(({ until }) => until ?? Number.POSITIVE_INFINITY))
    if (!Number.isFinite(next)) return
    const { clock } = this.deps
    this.cancel = clock.after(Math.max(0, next - clock.wall()), () => {
      const now = clock.wall()
      for (const [key, { until }] of this.services) if (until !== undefined && until <= now) this.services.delete(key)
      this.changed()
    })
  }
}
