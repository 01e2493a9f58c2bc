import { noIdentity } from '../transport/transport.ts'
import type { TransportListener, Transports } from '../transport/transport.ts'
import type { Acceptor } from './acceptor.ts'
import { probeContext } from './listener-context.ts'
import type { ProtocolTable } from './protocol-table.ts'

export interface ProbeListenerDeps {
  readonly transports: Transports
  readonly clock: { refresh(): number }
  readonly acceptor: Pick<Acceptor, 'counted'>
  readonly protocols: Pick<ProtocolTable, 'http1'>
}

/** A listener on loopback for the watchdog's proof: through accept, codec and reply, without any of the snapshot. */
export async function probeListener(deps: ProbeListenerDeps): Promise<TransportListener> {
  const { acceptor, clock, protocols, transports } = deps
  const count = { connections: 0 }
  const options = { address: '127.0.0.1', port: 0, backlog: 8, reusePort: false }
  const socket = await transports.listen(options, (transport) => {
    const acceptedAt = clock.refresh()
    const onEnd = acceptor.counted(count, '')
    const caller = { source: undefined, identity: noIdentity, serverName: '' }
    const accepted = { listener: probeContext(socket.port), proxy: null, ...caller, acceptedAt, onEnd }
    protocols.http1.begin!(accepted, transport, null)
  })
  return socket
}
