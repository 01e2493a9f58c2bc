import { createRequire } from 'node:module'
import { Socket } from 'node:net'

import type { ConnectionPoolSpec } from '../../../contracts/policy-spec.ts'
import type { Transport } from '../transport/transport.ts'

interface NetKeepAlive {
  setKeepAliveInterval(socket: Socket, ms: number): boolean
  setKeepAliveProbes(socket: Socket, count: number): boolean
  setUserTimeout(socket: Socket, ms: number): boolean
}

export interface SocketOptions {
  /** Sets what the policy asks for on a connected socket; a connection without such a policy costs nothing. */
  apply(transport: Transport, pool: ConnectionPoolSpec): void
}

/**
 * Keepalive and TCP_USER_TIMEOUT of upstream connections. The library is loaded with the first policy that asks for it, since most hosts never do.
 * Order matters: Node's own `setKeepAlive` resets the interval to one second, so interval and probes come after it.
 * `warn` is called once when the options cannot be set; connections then live with the system's values.
 */
export function socketOptions(warn: (message: string) => void): SocketOptions {
  let library: NetKeepAlive | undefined
  let hasFailed = false

  const use = (transport: Transport, action: (library: NetKeepAlive, socket: Socket) => void): void => {
    if (hasFailed || transport.descriptor < 0) return
    try {
      library ??= createRequire(import.meta.url)('net-keepalive') as NetKeepAlive
      action(library, socketOf(transport.descriptor))
    } catch (error) {
      hasFailed = true
      warn(`socket options: ${error instanceof Error ? error.message : String(error)}; using the system's values`)
    }
  }

  return {
    apply(transport, pool) {
      const { tcpKeepalive, tcpUserTimeoutMs } = pool
      if (tcpKeepalive !== undefined) {
        transport.setKeepAlive(tcpKeepalive.timeMs)
        use(transport, (keepAlive, socket) => {
          keepAlive.setKeepAliveInterval(socket, tcpKeepalive.intervalMs)
          keepAlive.setKeepAliveProbes(socket, tcpKeepalive.probes)
        })
      }
      if (tcpUserTimeoutMs > 0)
        use(transport, (keepAlive, socket) => void keepAlive.setUserTimeout(socket, tcpUserTimeoutMs))
    },
  }
}

/** The library wants a `net.Socket` and reads nothing of it but the descriptor. */
function socketOf(descriptor: number): Socket {
  return Object.create(Socket.prototype, { _handle: { value: { fd: descriptor } } }) as Socket
}
