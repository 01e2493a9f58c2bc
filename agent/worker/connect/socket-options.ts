/**
 * How soon a connection to an endpoint notices that the other host is gone: keepalive and TCP_USER_TIMEOUT (tcp(7)).
 * The user time-out ends a connection whose bytes or keepalive probes stay without an acknowledgement for that long;
 * without it Linux goes on for a quarter of an hour, or for ever where it only waits for a reply.
 */
import type { ConnectionPoolSpec } from '../../../contracts/policy-spec.ts'
import { loadNative } from '../../../native/descriptors.ts'
import type { Transport } from '../transport/transport.ts'

const tcpLevel = 6
const option = { keepAliveIdle: 4, keepAliveInterval: 5, keepAliveProbes: 6, userTimeout: 18 } as const

/** For connections to an endpoint that left while it was at work. */
const closeWatchMs = 5000

export interface SocketOptions {
  /** Sets what the policy asks for on a connected socket. */
  apply(transport: Transport, pool: ConnectionPoolSpec): void
  /**
   * The endpoint left: if its host cannot be reached the connection ends within seconds; one that is still served goes
   * on.
   */
  watchClosely(transport: Transport, pool: ConnectionPoolSpec): void
}

/** `warn` is called once when the options cannot be set; connections then live with the system's values. */
export function socketOptions(warn: (message: string) => void): SocketOptions {
  const { native, problem } = loadNative()
  let hasFailed = native === undefined
  if (hasFailed) warn(`socket options: ${problem ?? ''}; using the system's values`)

  const set = (transport: Transport, name: number, value: number): void => {
    if (hasFailed || transport.descriptor < 0) return
    if (native!.setOption(transport.descriptor, tcpLevel, name, value) || transport.isClosed) return
    hasFailed = true
    warn(`socket options: the system refuses TCP option ${name}; using the system's values`)
  }

  /** Node's own `setKeepAlive` sets the interval to one second, so interval and probes come after it. */
  const keepAlive = (transport: Transport, idleMs: number, intervalMs: number): void => {
    transport.setKeepAlive(idleMs)
    set(transport, option.keepAliveInterval, Math.max(1, Math.round(intervalMs / 1000)))
  }

  /**
   * A connection on which nothing moves is asked in time for the answer, or its lack, to be in when the time-out ends.
   */
  const expireAfter = (transport: Transport, ms: number, asks: boolean): void => {
    if (asks) keepAlive(transport, (ms * 3) / 4, ms / 4)
    set(transport, option.userTimeout, ms)
  }

  return {
    apply(transport, { tcpKeepalive, tcpUserTimeoutMs }) {
      if (tcpKeepalive !== undefined) {
        keepAlive(transport, tcpKeepalive.timeMs, tcpKeepalive.intervalMs)
        set(transport, option.keepAliveProbes, tcpKeepalive.probes)
      }
      if (tcpUserTimeoutMs > 0) expireAfter(transport, tcpUserTimeoutMs, tcpKeepalive === undefined)
    },
    watchClosely(transport, { tcpUserTimeoutMs }) {
      if (tcpUserTimeoutMs > closeWatchMs) expireAfter(transport, closeWatchMs, true)
    },
  }
}
