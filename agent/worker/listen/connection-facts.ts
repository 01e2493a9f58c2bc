import type { Transport } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { ConnectionFacts, Movable } from './movable.ts'

/** What an operator looks through: the live connections of one worker. */
export interface LiveSource {
  readonly live: { all(): Iterable<Movable> }
  /** Monotonic ms. */
  readonly now: () => number
  /** First part of every id that an operator sees. */
  readonly pid: number
}

/** What every accepted connection can tell. */
export function factsOf({ acceptedAt, proxy, source }: Accepted, transport: Transport): ConnectionFacts {
  const peer = transport.peer()
  return {
    address: proxy?.sourceAddress ?? peer.address,
    port: proxy?.sourcePort ?? peer.port,
    startedAt: acceptedAt,
    sourceApp: source?.app,
  }
}

/** Whole ms since `startedAt`. */
export function ageOf({ now }: LiveSource, startedAt: number): number {
  return Math.max(0, Math.round(now() - startedAt))
}
