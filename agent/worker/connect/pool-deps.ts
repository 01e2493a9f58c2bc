import type { EndpointProtocol } from '../../../contracts/protocols.ts'
import type { UpstreamCodec } from '../forward/streams.ts'
import type { Clock } from '../transport/clock.ts'
import type { TimerWheel } from '../transport/timer-wheel.ts'
import type { Dialer } from './dialer.ts'

/** What pools need of their worker. */
export interface PoolDeps {
  readonly dialer: Dialer
  readonly wheel: TimerWheel
  readonly clock: Clock
  /** What can be spoken to endpoints; each destination has one of them. */
  readonly codecs: { of(protocol: EndpointProtocol): UpstreamCodec }
}
