/** How a connection leaves this process: the one place that takes its sockets out, whatever protocol it speaks. */
import type { Transport, TransportState } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import { movedConnectionFormat, movedTransportsFormat } from './movable.ts'
import type { DescriptorCopies, MovedAccepted, MovedFormat } from './movable.ts'

/** The sockets of a connection that has left. */
export interface LeftSockets {
  /** Copies, the receiver's from now on. */
  readonly descriptors: readonly number[]
  /** Per transport: what was written and is not in the kernel's send buffer yet. */
  readonly unsent: readonly Buffer[]
  readonly format: MovedFormat
}

/**
 * Takes the transports of one connection out of this process together: nothing is read or written on them any more, and
 * no FIN is sent. Throws when a descriptor cannot be copied; all of them then go on here, and no copy is left.
 */
export function leaveProcess(transports: readonly Transport[], copies: DescriptorCopies): LeftSockets {
  const descriptors: number[] = []
  try {
    for (const transport of transports) descriptors.push(copies.duplicate(transport.descriptor))
  } catch (error) {
    for (const descriptor of descriptors) copies.close(descriptor)
    throw error
  }
  const left = transports.map((transport) => transport.detach())
  return { descriptors, unsent: left.map(({ unsent }) => unsent), format: formatOf(left.map(({ state }) => state)) }
}

/** What every moved connection of a caller says of itself. To be asked before its transport has left. */
export function movedAccepted(accepted: Accepted, transport: Transport, now: number): MovedAccepted {
  const { acceptedAt, identity, listener, proxy, serverName, source, tunnel } = accepted
  const { address, localAddress, localPort, port } = transport.peer()
  return {
    listener: listener.name,
    peer: { address, port, localAddress, localPort },
    proxy,
    source,
    identity,
    ...(tunnel === undefined ? {} : { tunnel: { kind: tunnel.kind, target: tunnel.target, port: tunnel.port } }),
    ...(serverName === '' ? {} : { serverName }),
    ageMs: now - acceptedAt,
  }
}

function formatOf(states: readonly (TransportState | null)[]): MovedFormat {
  if (states.every((state) => state === null)) return { format: movedConnectionFormat }
  return { format: movedTransportsFormat, transports: states }
}
