import type { Road } from '../forward/road.ts'
import { exportLimits, importLimits } from '../route/limit-state.ts'

/** What a successor of this process goes on with beside connections: breakers, ejections, latencies, token buckets, counters. */
export class StatePorter {
  private readonly road: Road

  constructor(road: Road) {
    this.road = road
  }

  /** Counters are given away: they begin again at 0 here, see `exportCounters`. */
  exportState(): Record<string, unknown> {
    const { road } = this
    const now = road.clock.refresh()
    const clusters: Record<string, unknown> = {}
    for (const upstream of road.state.serviceUpstreams()) clusters[upstream.key] = upstream.cluster.exportState(now)
    return {
      clusters,
      rateLimits: exportLimits(road.state.names.hosts(), now),
      ...this.exportCounters(),
    }
  }

  /** What was counted since the last export. */
  exportCounters(): Record<string, unknown> {
    const { metrics, tallies, tcpMetrics } = this.road
    const counters = {
      requests: metrics.exportState(),
      tcp: tcpMetrics.exportState(),
      tallies: tallies.exportState(),
    }
    for (const counter of [metrics, tallies, tcpMetrics]) counter.reset()
    return counters
  }

  /** Tolerates anything; what it does not understand is dropped. */
  importState(part: string, body: unknown): void {
    const { road } = this
    const now = road.clock.refresh()
    switch (part) {
      case 'clusters':
        if (typeof body !== 'object' || body === null) return
        for (const [key, state] of Object.entries(body)) road.state.upstream(key)?.cluster.importState(state, now)
        return
      case 'rateLimits':
        importLimits(road.state.names.hosts(), body, now)
        return
      case 'requests':
        road.metrics.importState(body)
        return
      case 'tcp':
        road.tcpMetrics.importState(body)
        return
      case 'tallies':
        road.tallies.importState(body)
        return
      default:
    }
  }
}
