import type { ConnectionProtocol } from '../../../contracts/protocols.ts'
import type { Transport } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Movable, MovedSingle } from './movable.ts'

/** How connections of one protocol begin, and how those of another process go on. */
export interface Protocol {
  /** Sockets of one connection that moves: its own, and for a pair that of its upstream behind it. */
  readonly sockets: 1 | 2
  /**
   * Takes over a connection whose intake is done; the transport is paused. `received`: bytes that were read already.
   * null: it comes from an upgrade only.
   */
  readonly begin: ((accepted: Accepted, transport: Transport, received: Buffer | null) => void) | null
  /**
   * Goes on with a connection of another process. The transports are its own from here on, also on failure.
   * Errors: E_HANDOFF_REFUSED when its destination is not known here; the transports are then given up.
   */
  adopt(accepted: Accepted, moved: MovedSingle, transports: readonly Transport[]): Movable
}

/** Made by the composition root: what `listen/` knows of the protocols. */
export type ProtocolTable = Readonly<Record<ConnectionProtocol, Protocol>>
