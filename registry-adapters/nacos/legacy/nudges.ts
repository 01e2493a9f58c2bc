/**
 * Servers of the 1.x line tell of changes over UDP: somebody who hears that makes polls come sooner. Which services are
 * polled is remembered for a nudge that comes later.
 */
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import type { ServerList } from '../server-list/server-list.ts'
import { createNudge } from './nudge.ts'
import type { Nudge } from './nudge.ts'

export interface NudgesDeps {
  readonly registry: string
  readonly namespace: string
  readonly servers: ServerList
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
  readonly onHint: (service: ServiceName) => void
}

export class Nudges {
  private readonly deps: NudgesDeps
  private readonly polled = new Map<ServiceKey, ServiceName>()
  private nudge: Promise<Nudge> | undefined

  constructor(deps: NudgesDeps) {
    this.deps = deps
  }

  watch(service: ServiceName): void {
    this.polled.set(serviceKey(service), service)
    this.nudge?.then((nudge) => nudge.watch(service)).catch(() => undefined)
  }

  unwatch(service: ServiceName): void {
    this.polled.delete(serviceKey(service))
    this.nudge?.then((nudge) => nudge.unwatch(service)).catch(() => undefined)
  }

  async begin(): Promise<void> {
    if (this.nudge !== undefined) return
    const { registry, namespace, servers, log, metrics, onHint } = this.deps
    const coming = createNudge({
      servers: servers.servers,
      namespace,
      log,
      onHint: (service) => {
        metrics.count('registry_hints', { registry })
        onHint(service)
      },
    })
    this.nudge = coming
    try {
      const nudge = await coming
      if (this.nudge === coming) for (const service of this.polled.values()) nudge.watch(service)
    } catch (error) {
      log.debug({ registry }, `no early news from this server, polls only: ${describeError(error)}`)
    }
  }

  end(): void {
    this.nudge?.then((nudge) => nudge.close()).catch(() => undefined)
    this.nudge = undefined
    this.polled.clear()
  }
}
