/** What a worker is given by whoever wires it: its links to others, and what differs from host to host. */
import type { WorkerTrouble } from '../../contracts/events.ts'
import type { Signal } from '../../contracts/telemetry.ts'
import type { FilterKind } from './filters/kind.ts'
import type { BoundListener } from './listen/bound-listeners.ts'
import type { PortOwner } from './listen/port-owner.ts'
import type { Output } from './transport/output.ts'
import type { WantedTransport } from './transport/select-transports.ts'
import type { Transports } from './transport/transport.ts'
import type { ReadTurns } from './udp/read-turns.ts'

export interface WorkerOptions {
  /** Place among the workers that bind the same ports. Absent: 0. */
  readonly index?: number
  /** In which UDP ports are read; absent: nobody else reads them. */
  readonly readTurns?: ReadTurns | undefined
  /** 1 / this = part of every local rate limit that is ours. */
  readonly workers: number
  /** Whether other workers of this host bind the same ports. */
  readonly sharesPorts: boolean
  /** Whether this worker listens at unix sockets, as one of its generation does. Absent: yes. */
  readonly listensAtPaths?: boolean
  readonly isOurs: (owner: PortOwner) => boolean
  /** Sends `need` to control. */
  readonly ask: (names: readonly string[]) => void
  /** Tells control of an application of this host, `address:port`, that refuses connections. */
  readonly tellRefused: (application: string) => void
  /** All that is wrong with destinations, when it differs from what was told last. */
  readonly tellTroubles: (troubles: readonly WorkerTrouble[]) => void
  readonly onBound: (bound: BoundListener) => void
  readonly onRemoved: (name: string, address: string, port: number) => void
  /** Listeners that had failed were tried again. */
  readonly onRetried?: () => void
  readonly closeDescriptor: (descriptor: number) => void
  /** Gives a batch of spans or log records to control; see `OutboxDeps.send`. Absent = nobody takes them. */
  readonly sendTelemetry?: (signal: Signal, bytes: Buffer, done: () => void) => boolean
  readonly setLogLevel: (level: string) => void
  readonly log: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void
  /** 0..1, exclusive. */
  readonly random: () => number
  /** Absent: raw handles, without a look at faster ones. */
  readonly wantedTransport?: WantedTransport
  /** See `SelectTransportsDeps`; absent: sockets of our own do not serve. */
  readonly trial?: () => Promise<string>
  /** Where filters of users are written down that held a worker up; absent: nobody watches them. */
  readonly filterMarks?: string
  /** Takes the place of the selection, for tests of one implementation. */
  readonly transports?: (output: Output) => Promise<Transports>
  /** Filters of routes in their order; absent: those of `filters/table.ts`. */
  readonly filterKinds?: readonly FilterKind[]
}
