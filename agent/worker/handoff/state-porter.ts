import type { MessageMetrics } from '../observe/message-metrics.ts'
import type { RequestMetrics } from '../observe/request-metrics.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { TcpMetrics } from '../observe/tcp-metrics.ts'
import type { AuthorizerCounts } from '../filters/ext-authz/authorizer-counts.ts'
import type { LimitCounts } from '../filters/global-rate-limit/limit-counts.ts'
import type { DecisionCounts } from '../filters/authorization/decision-counts.ts'
import type { UserFilters } from '../filters/user/user-filters.ts'
import type { VerdictCounts } from '../filters/verdict-counts.ts'
import { exportFilters, importFilters } from '../route/filter-state.ts'
import type { TlsCounts } from '../transport/tls/tls-counts.ts'
import type { UdpCounts } from '../udp/udp-counts.ts'
import type { Clock } from '../transport/clock.ts'
import type { MeshState } from '../mesh/mesh-state.ts'

export interface StatePorterDeps {
  readonly clock: Clock
  readonly state: MeshState
  readonly metrics: RequestMetrics
  readonly messages: MessageMetrics
  readonly tcpMetrics: TcpMetrics
  readonly tallies: Tallies
  readonly tls: TlsCounts
  readonly udp: UdpCounts
  readonly filters: {
    readonly verdicts: VerdictCounts
    readonly decisions: DecisionCounts
    readonly authorizers: AuthorizerCounts
    readonly limits: LimitCounts
    readonly userFilters: Pick<UserFilters, 'failures'>
  }
}

/**
 * What a successor of this process goes on with beside connections: breakers, ejections, latencies, token buckets,
 * counters.
 */
export class StatePorter {
  private readonly deps: StatePorterDeps

  constructor(deps: StatePorterDeps) {
    this.deps = deps
  }

  /** Counters are given away: they begin again at 0 here, see `exportCounters`. */
  exportState(): Record<string, unknown> {
    const { deps } = this
    const now = deps.clock.refresh()
    const clusters: Record<string, unknown> = {}
    for (const upstream of deps.state.serviceUpstreams()) clusters[upstream.key] = upstream.cluster.exportState(now)
    return {
      clusters,
      rateLimits: exportFilters(deps.state.names.hosts(), now),
      ...this.exportCounters(),
    }
  }

  /** What was counted since the last export. */
  exportCounters(): Record<string, unknown> {
    const { messages, metrics, tallies, tcpMetrics, tls, udp } = this.deps
    const { authorizers, decisions, limits, userFilters, verdicts } = this.deps.filters
    const counters = {
      requests: metrics.table.exportState(),
      messages: messages.table.exportState(),
      tcp: tcpMetrics.table.exportState(),
      tallies: tallies.exportState(),
      filters: verdicts.exportState(),
      tls: tls.exportState(),
      udp: udp.exportState(),
      decisions: decisions.exportState(),
      authorizers: authorizers.exportState(),
      sharedLimits: limits.exportState(),
      filterFailures: userFilters.failures.exportState(),
    }
    for (const { table } of [metrics, messages, tcpMetrics]) table.clear()
    for (const counter of [tallies, tls, udp, verdicts, decisions, authorizers, limits, userFilters.failures])
      counter.reset()
    return counters
  }

  /** Tolerates anything; what it does not understand is dropped. */
  importState(part: string, body: unknown): void {
    const { deps } = this
    const now = deps.clock.refresh()
    switch (part) {
      case 'clusters':
        if (typeof body !== 'object' || body === null) return
        for (const [key, state] of Object.entries(body)) deps.state.upstream(key)?.cluster.importState(state, now)
        return
      case 'rateLimits':
        importFilters(deps.state.names.hosts(), body, now)
        return
      case 'requests':
        deps.metrics.table.importState(body)
        return
      case 'messages':
        deps.messages.table.importState(body)
        return
      case 'tcp':
        deps.tcpMetrics.table.importState(body)
        return
      case 'tallies':
        deps.tallies.importState(body)
        return
      case 'filters':
        deps.filters.verdicts.importState(body)
        return
      case 'tls':
        deps.tls.importState(body)
        return
      case 'udp':
        deps.udp.importState(body)
        return
      case 'decisions':
        deps.filters.decisions.importState(body)
        return
      case 'authorizers':
        deps.filters.authorizers.importState(body)
        return
      case 'sharedLimits':
        deps.filters.limits.importState(body)
        return
      case 'filterFailures':
        deps.filters.userFilters.failures.importState(body)
        return
      default:
    }
  }
}
