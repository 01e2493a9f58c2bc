/** What the relay says to a center about a connection, before its first byte. */
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import type { RelayedDeps } from './relayed-connection.ts'
import type { Wire } from './wire.ts'

export function proxyHeader(caller: Wire['peer'], deps: RelayedDeps): Buffer {
  const tlvs = relayTlvs({
    service: deps.listener.service ?? '',
    host: deps.targets.host,
    listener: deps.listenerName,
  })
  return encodeProxyV2({
    command: 'proxy',
    source: { address: caller.address, port: caller.port },
    destination: { address: caller.localAddress, port: caller.localPort },
    tlvs,
  })
}
