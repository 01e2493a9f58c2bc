import type { Output } from '../../../agent/worker/transport/output.ts'
import { rawTransports } from '../../../agent/worker/transport/raw-handle.ts'
import type { Transports } from '../../../agent/worker/transport/transport.ts'

/** The workload that calls from this address, by what `namedCallers` says of it. */
export function callerAt(address: string): string {
  return `spiffe://test/${address}`
}

/**
 * Raw transports whose accepted peers are workloads by their addresses: several callers in one test. Fit for
 * `WorkerOptions.transports`.
 */
export async function namedCallers(output: Output): Promise<Transports> {
  const inner = rawTransports(output)
  return {
    ...inner,
    listen: (options, onAccept) =>
      inner.listen(options, (transport) => {
        const peer = transport.peer()
        transport.peer = () => ({ ...peer, identity: { kind: 'spiffe', id: callerAt(peer.address) } })
        onAccept(transport)
      }),
  }
}
