import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { PooledMovable } from '../connect/pooled-movable.ts'
import type { MeshState } from '../mesh/mesh-state.ts'
import type { Clock } from '../transport/clock.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Transport, Transports } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Acceptor } from './acceptor.ts'
import { relayedContext } from './listener-context.ts'
import type { BoundListeners } from './bound-listeners.ts'
import type { LiveTable } from './live-table.ts'
import { movedConnectionFormat, movedTransportsFormat } from './movable.ts'
import type {
  LiveConnections,
  Movable,
  MovedConnection,
  MovedHttp1,
  MovedHttp2,
  MovedPair,
  MovedPooled,
} from './movable.ts'
import { quotaKey } from './relay-admission.ts'
import type { RelayAdmission } from './relay-admission.ts'
import type { ProtocolTable } from './protocol-table.ts'

export interface AdoptionDeps {
  readonly clock: Clock
  readonly live: LiveTable
  readonly state: MeshState
  readonly protocols: ProtocolTable
  readonly transports: Transports
  readonly acceptor: Acceptor
  readonly relays: RelayAdmission
  readonly listeners: BoundListeners
  /** Closes a descriptor that could not be taken over. */
  readonly closeDescriptor: (descriptor: number) => void
}

/**
 * The live connections of a worker towards `handoff/`: the table of the road, the idle connections of the pools, and
 * how to go on with moved ones.
 */
export class Adoption implements LiveConnections {
  private readonly deps: AdoptionDeps

  constructor(deps: AdoptionDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.deps.live.size
  }

  get arriving(): number {
    return this.deps.acceptor.connections - this.deps.live.size
  }

  get onNew(): ((connection: Movable) => void) | null {
    return this.deps.live.onNew
  }

  set onNew(callback: ((connection: Movable) => void) | null) {
    this.deps.live.onNew = callback
  }

  list(): Movable[] {
    return this.deps.live.list()
  }

  takeActive(): Movable[] {
    return this.deps.live.takeActive()
  }

  listPooled(): Movable[] {
    const { clock, live, state } = this.deps
    const found: Movable[] = []
    for (const { key, pools } of state.serviceUpstreams()) {
      for (const pool of pools.pools) {
        for (const connection of pool.idle) found.push(new PooledMovable(live.nextId(), clock, key, pool, connection))
      }
    }
    return found
  }

  adopt(state: unknown, descriptors: readonly number[]): Movable {
    const moved = this.understood(state, descriptors)
    this.deps.clock.refresh()
    const transports = this.open(moved, descriptors)
    return moved.protocol === 'pooled' ? this.adoptPooled(moved, transports[0]!) : this.adoptAccepted(moved, transports)
  }

  /** Of our format, of a protocol that we have, with as many descriptors as it needs. */
  private understood(state: unknown, descriptors: readonly number[]): MovedConnection {
    const { protocols } = this.deps
    const moved = state as MovedConnection
    const format = typeof state === 'object' && state !== null ? moved.format : undefined
    if (format !== movedConnectionFormat && format !== movedTransportsFormat) {
      const allowed = `${movedConnectionFormat} and ${movedTransportsFormat}`
      throw this.refused('E_HANDOFF_VERSION', `format ${String(format)}, allowed ${allowed}`, descriptors)
    }
    const isKnown = moved.protocol === 'pooled' || Object.hasOwn(protocols, moved.protocol)
    if (!isKnown) throw this.refused('E_HANDOFF_REFUSED', `protocol ${String(moved.protocol)} is unknown`, descriptors)
    const wanted = moved.protocol === 'pooled' ? 1 : protocols[moved.protocol].sockets
    if (descriptors.length !== wanted) {
      const found = `${moved.protocol} with ${descriptors.length} descriptors, needs ${wanted}`
      throw this.refused('E_HANDOFF_REFUSED', found, descriptors)
    }
    return moved
  }

  private refused(
    code: 'E_HANDOFF_VERSION' | 'E_HANDOFF_REFUSED',
    why: string,
    descriptors: readonly number[],
  ): MeshError {
    for (const descriptor of descriptors) this.deps.closeDescriptor(descriptor)
    return new MeshError(code, `moved connection: ${why}; it is closed`)
  }

  private open(moved: MovedConnection, descriptors: readonly number[]): Transport[] {
    const opened: Transport[] = []
    try {
      for (const descriptor of descriptors) {
        const state = moved.format === movedTransportsFormat ? moved.transports[opened.length] : null
        opened.push(this.deps.transports.open(descriptor, state ?? null))
      }
      return opened
    } catch (error) {
      for (const transport of opened) transport.release()
      const why = `descriptor cannot be used: ${(error as Error).message}`
      throw this.refused('E_HANDOFF_REFUSED', why, descriptors.slice(opened.length))
    }
  }

  private adoptPooled(moved: MovedPooled, transport: Transport): Movable {
    const { clock, live, state } = this.deps
    const upstream = state.upstream(moved.cluster)
    const endpoint = upstream?.cluster.states.find(({ id }) => id === moved.endpoint)
    if (upstream === undefined || endpoint === undefined) {
      transport.release()
      throw new MeshError('E_HANDOFF_REFUSED', `${moved.endpoint} left ${moved.cluster}; it is closed`)
    }
    const pool = upstream.pools.of(endpoint)
    const connection = pool.adopt(transport, moved.requests, moved.ageMs)
    if (connection === undefined) throw new MeshError('E_HANDOFF_REFUSED', `${moved.endpoint}: no room; it is closed`)
    return new PooledMovable(live.nextId(), clock, upstream.key, pool, connection)
  }

  private adoptAccepted(moved: MovedHttp1 | MovedHttp2 | MovedPair, transports: readonly Transport[]): Movable {
    const accepted = this.acceptedOf(moved)
    if (accepted === undefined) {
      for (const transport of transports) transport.release()
      throw new MeshError('E_HANDOFF_REFUSED', `listener ${moved.listener} is not known here; it is closed`)
    }
    try {
      return this.deps.protocols[moved.protocol].adopt(accepted, moved, transports)
    } catch (error) {
      accepted.onEnd()
      throw error
    }
  }

  /** Its host's place at the relay listener comes along. */
  private keepPlace(peerAddress: string, onEnd: () => void): () => void {
    const { relays } = this.deps
    const key = quotaKey(peerAddress)
    relays.takeOver(key)
    let isKept = true
    return () => {
      if (isKept) relays.leave(key)
      isKept = false
      onEnd()
    }
  }

  private acceptedOf(moved: MovedHttp1 | MovedHttp2 | MovedPair): Accepted | undefined {
    const { acceptor, clock, listeners, state } = this.deps
    const bound = listeners.find(moved.listener)
    if (bound === undefined) return undefined
    const onEnd = acceptor.counted(bound.count)
    const service = moved.proxy?.service
    const known = bound.spec.kind === 'relay' && service ? state.service(service as ServiceKey) : undefined
    return {
      listener: known === undefined ? bound.context : relayedContext(bound.context, known),
      proxy: moved.proxy,
      source: moved.source,
      identity: moved.identity ?? noIdentity,
      acceptedAt: clock.now - moved.ageMs,
      onEnd: bound.spec.kind === 'relay' ? this.keepPlace(moved.peer.address, onEnd) : onEnd,
    }
  }
}
