/** What the UDP ports of a worker carried, by listener. */
import type { StatSeries } from '../../../contracts/control-link.ts'
import { NamedTallies } from '../filters/named-tallies.ts'

/** Why a datagram went nowhere. */
const dropReasons = [
  'no_route',
  'denied',
  'no_endpoint',
  'overflow',
  'share',
  'rate',
  'unsupported',
  'descriptors',
  'loop',
  'send',
  'reply',
] as const
export type DropReason = (typeof dropReasons)[number]

export type SessionEvent = 'opened' | 'idle' | 'evicted' | 'refused' | 'rebound'
export type Direction = 'received' | 'sent'

const directions = [
  ['received', 'received'],
  ['sent', 'sent'],
] as const

export class UdpCounts {
  readonly sessions = new NamedTallies<SessionEvent>([
    ['opened', 'opened'],
    ['idle', 'idle'],
    ['evicted', 'evicted'],
    ['refused', 'refused'],
    ['rebound', 'rebound'],
  ])
  readonly datagrams = new NamedTallies<Direction>(directions)
  readonly bytes = new NamedTallies<Direction>(directions)
  readonly drops = new NamedTallies<DropReason>(dropReasons.map((reason) => [reason, reason]))

  /** The counters of one listener. */
  of(listener: string): PortCounts {
    const { bytes, datagrams, drops, sessions } = this
    return {
      sessions: sessions.tally(listener),
      datagrams: datagrams.tally(listener),
      bytes: bytes.tally(listener),
      drops: drops.tally(listener),
    }
  }

  reset(): void {
    for (const one of this.all()) one[1].reset()
  }

  exportState(): unknown {
    return Object.fromEntries(this.all().map(([name, tallies]) => [name, tallies.exportState()]))
  }

  /** Tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const [name, tallies] of this.all()) tallies.importState((state as Record<string, unknown>)[name])
  }

  series(open: ReadonlyMap<string, number>, lost: ReadonlyMap<string, number>): StatSeries[] {
    const { bytes, datagrams, drops, sessions } = this
    const ofQueues = [...lost].flatMap(([name, value]) => (value === 0 ? [] : [{ labels: [name, 'queue'], value }]))
    return [
      {
        name: 'hostmesh_udp_sessions',
        kind: 'gauge',
        help: 'Sessions of UDP callers',
        labelNames: ['listener'],
        samples: [...open].map(([name, value]) => ({ labels: [name], value })),
      },
      {
        name: 'hostmesh_udp_session_events_total',
        kind: 'counter',
        help: 'What became of UDP sessions: opened, idle, evicted for another one, refused by an endpoint, rebound to another endpoint',
        labelNames: ['listener', 'event'],
        samples: sessions.samples(),
      },
      {
        name: 'hostmesh_udp_datagrams_total',
        kind: 'counter',
        help: 'Datagrams received from callers and sent on, and sent to callers',
        labelNames: ['listener', 'direction'],
        samples: datagrams.samples(),
      },
      {
        name: 'hostmesh_udp_bytes_total',
        kind: 'counter',
        help: 'Bytes in these datagrams',
        labelNames: ['listener', 'direction'],
        samples: bytes.samples(),
      },
      {
        name: 'hostmesh_udp_dropped_total',
        kind: 'counter',
        help: 'Datagrams that went nowhere, by reason; queue: before the agent took them',
        labelNames: ['listener', 'reason'],
        samples: [...drops.samples(), ...ofQueues],
      },
    ]
  }

  private all(): [string, NamedTallies<never>][] {
    const { bytes, datagrams, drops, sessions } = this
    return Object.entries({ sessions, datagrams, bytes, drops } as unknown as Record<string, NamedTallies<never>>)
  }
}

export interface PortCounts {
  readonly sessions: Record<SessionEvent, number>
  readonly datagrams: Record<Direction, number>
  readonly bytes: Record<Direction, number>
  readonly drops: Record<DropReason, number>
}
