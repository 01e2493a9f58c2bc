/**
 * Which addresses lead back into this agent, so that a TCP connection is not passed round in circles until the
 * descriptors are used up. HTTP is left to `Via` (R18). What came in at an inbound port must not go to any listener of
 * ours; anything else may go to inbound ports, which lead to applications, and to no other.
 */
import { interfaceAddresses, isListeningAt } from '../../../contracts/listening-at.ts'
import { takesDatagrams } from '../../../contracts/snapshot.ts'
import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import type { BoundListeners } from './bound-listeners.ts'

/** Addresses of the host are looked up again after so long, ms. */
const addressAgeMs = 10_000

export interface OwnListenersDeps {
  /** The listeners of the snapshot. */
  readonly specs: () => Iterable<ListenerSpec>
  /** Another value = the listeners have changed. */
  readonly revision: () => number
  /** Monotonic ms. */
  readonly now: () => number
}

export class OwnListeners {
  private readonly deps: OwnListenersDeps
  private revision = -1
  private readonly byPort = new Map<number, ListenerSpec[]>()
  /** What inbound listeners lead to, and the user that must listen there. */
  private readonly applications = new Map<string, number | undefined>()
  private addresses: readonly string[] = []
  private lookedAt = Number.NEGATIVE_INFINITY

  constructor(deps: OwnListenersDeps) {
    this.deps = deps
  }

  /** service: key of the destination that the address belongs to. */
  leadsBack(address: string, port: number, service: string): boolean {
    if (this.revision !== this.deps.revision()) this.rebuild()
    const there = this.byPort.get(port)
    if (there === undefined) return false
    const isFromInbound = this.applications.has(service)
    return there.some(
      (spec) => (isFromInbound || spec.kind !== 'inbound') && isListeningAt(spec.address, address, () => this.here()),
    )
  }

  /**
   * Behind an inbound port: the user that must listen where the application is. undefined = anybody may, or it is no
   * such service.
   */
  applicationUser(service: string): number | undefined {
    if (this.revision !== this.deps.revision()) this.rebuild()
    return this.applications.get(service)
  }

  private here(): readonly string[] {
    const now = this.deps.now()
    if (now - this.lookedAt > addressAgeMs) {
      this.lookedAt = now
      this.addresses = interfaceAddresses()
    }
    return this.addresses
  }

  private rebuild(): void {
    this.revision = this.deps.revision()
    this.byPort.clear()
    this.applications.clear()
    for (const spec of this.deps.specs()) {
      if (spec.kind === 'inbound') this.applications.set(spec.service, spec.applicationUser)
      const others = this.byPort.get(spec.port)
      if (others === undefined) this.byPort.set(spec.port, [spec])
      else others.push(spec)
    }
  }
}

/** Those at which datagrams are taken, or those at which connections are: the same port may be both. */
export function ownListeners(
  bound: () => Pick<BoundListeners, 'list' | 'revision'>,
  now: () => number,
  takesThem: boolean,
): OwnListeners {
  const isOne = (spec: ListenerSpec): boolean => takesDatagrams(spec) === takesThem
  return new OwnListeners({
    specs: () =>
      [...bound().list()].flatMap(({ socket, spec }) => (isOne(spec) ? [{ ...spec, port: socket.port }] : [])),
    revision: () => bound().revision,
    now,
  })
}
