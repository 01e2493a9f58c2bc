/** A caller's connection as a listener of the service `orders` hands it over. */
import { listenerContext } from '../../agent/worker/listen/listener-context.ts'
import type { Accepted } from '../../agent/worker/listen/accepted.ts'
import { noIdentity } from '../../agent/worker/transport/transport.ts'

const key = 'public/DEFAULT_GROUP@@orders'
const port = 20_000

export function acceptedOrders(): Accepted {
  const listener = listenerContext(
    {
      name: 'orders',
      address: '127.0.0.1',
      port,
      proxyProtocol: 'off',
      kind: 'service',
      protocol: 'http',
      service: key,
      virtualHost: key,
    },
    port,
  )
  return {
    listener,
    proxy: null,
    source: undefined,
    identity: noIdentity,
    serverName: '',
    acceptedAt: 1000,
    onEnd() {},
  }
}
