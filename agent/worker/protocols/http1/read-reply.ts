import type { Head } from './head.ts'
import type { HeadLimits, Method } from './types.ts'

/**
 * Reads one reply head; same contract as `readRequest`. Interim replies (1xx) are heads of their own: `head.status < 200`, `head.body` none; read on.
 *
 * requestMethod: of the request that is answered, it decides whether there is a body (R23). upgradeAsked: whether that request asked for an upgrade; 101 without
 * it is a fault (R21). The request line limit does not apply; `maxHeadBytes` and `maxFields` do.
 */
export function readReply(
  head: Head,
  buf: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  requestMethod: Method,
  upgradeAsked: boolean,
): number {
  void head
  void buf
  void limits
  void requestMethod
  void upgradeAsked
  return end - start
}
