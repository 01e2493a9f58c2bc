import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { TcpMetrics } from '../observe/tcp-metrics.ts'
import type { Transport } from '../transport/transport.ts'
import { Pair } from './pair.ts'
import type { PairDeps } from './pair.ts'
import type { GivenLink } from './streams.ts'

export interface TunnelDeps extends PairDeps {
  readonly tcpMetrics: Pick<TcpMetrics, 'webSocketEnded'>
}

/** Where a tunnel leads, and its place in the shares of callers there. */
export interface TunnelDestination {
  readonly upstream: Upstream
  readonly state: EndpointState
  readonly share: string
}

/**
 * Turns the two connections of an exchange whose reply is 101 into a pair. The admission of the exchange is the
 * tunnel's from now on. `isTaken`: the caller's kernel took the reply head and the bytes glued to it.
 */
export function startTunnel(
  deps: TunnelDeps,
  accepted: Accepted,
  { share, state, upstream }: TunnelDestination,
  caller: { readonly transport: Transport; readonly received: Buffer | null },
  given: GivenLink,
  isTaken: boolean,
): void {
  const { cluster } = upstream
  const pair = new Pair(
    deps,
    {
      protocol: 'websocket',
      accepted,
      upstream,
      state,
      idleTimeoutMs: cluster.policy.pool.tcpIdleTimeoutMs,
      onEnd(ended) {
        cluster.release(share, true)
        given.lost()
        deps.tcpMetrics.webSocketEnded({
          accepted,
          bytesUp: ended.bytesUp,
          bytesDown: ended.bytesDown,
          startedAt: ended.startedAt,
          state,
          service: cluster.service,
        })
        accepted.onEnd()
      },
    },
    caller.transport,
    given.transport,
  )
  pair.open(caller.received, null, null)
  // A caller that already does not read: the endpoint waits for the drain like any other time.
  if (!isTaken) given.transport.pauseReading()
}
