import type { Attempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { Pair } from './pair.ts'
import type { Road } from './road.ts'

/** Turns an exchange whose reply is 101 into a pair. The reply head, and the bytes glued to it, are in the output. */
export function startTunnel(road: Road, exchange: Exchange, attempt: Attempt): void {
  const { connection } = exchange
  const upstream = attempt.upstream!
  const state = attempt.state!
  const { accepted, transport } = connection
  const isTaken = connection.flush()
  const pooled = attempt.giveConnection()
  exchange.giveAdmission()
  exchange.close()
  const received = connection.giveTransport()
  const pair = new Pair(
    road,
    {
      protocol: 'websocket',
      accepted,
      upstream,
      state,
      idleTimeoutMs: upstream.cluster.policy.pool.tcpIdleTimeoutMs,
      onEnd(ended) {
        upstream.cluster.release()
        pooled.pool.lost()
        road.tcpMetrics.webSocketEnded({
          accepted,
          bytesUp: ended.bytesUp,
          bytesDown: ended.bytesDown,
          startedAt: ended.startedAt,
          state,
          service: upstream.cluster.service,
        })
        accepted.onEnd()
      },
    },
    transport,
    pooled.transport,
  )
  pair.open(received, null, null)
  // A caller that already does not read: the endpoint waits for the drain like any other time.
  if (!isTaken) pooled.transport.pauseReading()
}
