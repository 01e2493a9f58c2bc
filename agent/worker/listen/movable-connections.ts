import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { PooledMovable } from '../connect/pooled-movable.ts'
import type { MeshState } from '../mesh/mesh-state.ts'
import type { Clock } from '../transport/clock.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Transport, Transports } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Acceptor } from './acceptor.ts'
import { relayedContext, serverContext } from './listener-context.ts'
import type { ListenerContext } from './listener-context.ts'
import type { BoundListener, BoundListeners } from './bound-listeners.ts'
import type { Cohorts } from './cohorts.ts'
import { DeniedHosts } from './denied-hosts.ts'
import type { LiveTable } from './live-table.ts'
import { movedConnectionFormat, movedTransportsFormat } from './movable.ts'
import type {
  LiveConnections,
  Movable,
  MovedAccepted,
  MovedCohort,
  MovedConnection,
  MovedDatagrams,
  MovedPooled,
  MovedSingle,
} from './movable.ts'
import type { UnixSockets } from '../../../native/unix-sockets.ts'
import { isSocketPath, knowLocalPeer } from './local-socket.ts'
import { placeOf } from './relay-hosts.ts'
import type { RelayAdmission } from './relay-admission.ts'
import type { ProtocolTable } from './protocol-table.ts'

export interface MovableConnectionsDeps {
  readonly cohorts: Cohorts
  readonly clock: Clock
  readonly live: LiveTable
  readonly state: MeshState
  readonly protocols: ProtocolTable
  readonly transports: Pick<Transports, 'open'>
  readonly acceptor: Acceptor
  readonly relays: RelayAdmission
  readonly listeners: BoundListeners
  readonly unixSockets: UnixSockets | undefined
  /** Closes a descriptor that could not be taken over. */
  readonly closeDescriptor: (descriptor: number) => void
  /** The sessions of UDP callers. */
  readonly datagrams: {
    readonly size: number
    sessions(): Iterable<Movable>
    adopt(moved: MovedDatagrams, descriptor: number): Movable
  }
}

/**
 * The live connections of a worker towards `handoff/`: the table of the data path, the idle connections of the pools,
 * and how to go on with moved ones.
 */
export class MovableConnections implements LiveConnections {
  private readonly deps: MovableConnectionsDeps
  private readonly denied = new DeniedHosts()

  constructor(deps: MovableConnectionsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.deps.live.size + this.deps.datagrams.size
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
    return [...this.deps.live.list(), ...this.deps.datagrams.sessions()]
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

  listCohorts(): Movable[] {
    return this.deps.cohorts.list()
  }

  adopt(state: unknown, descriptors: readonly number[]): Movable {
    const moved = this.understood(state, descriptors)
    this.deps.clock.refresh()
    if (moved.protocol === 'udp') return this.deps.datagrams.adopt(moved, descriptors[0]!)
    const transports = this.open(moved, descriptors)
    if (moved.protocol === 'http2-cohort') return this.adoptCohort(moved, transports)
    return isPooled(moved) ? this.adoptPooled(moved, transports[0]!) : this.adoptAccepted(moved, transports)
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
    const isKnown =
      isPooled(moved) ||
      moved.protocol === 'http2-cohort' ||
      moved.protocol === 'udp' ||
      Object.hasOwn(protocols, moved.protocol)
    if (!isKnown) throw this.refused('E_HANDOFF_REFUSED', `protocol ${String(moved.protocol)} is unknown`, descriptors)
    const wanted = socketsOf(moved, protocols)
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

  private open(moved: Exclude<MovedConnection, MovedDatagrams>, descriptors: readonly number[]): Transport[] {
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
    const pool = upstream.pools.exactly(endpoint, moved.identity)
    const connection = pool.adopt(transport, moved.requests, moved.ageMs, moved.link ?? null)
    if (connection === undefined)
      throw new MeshError('E_HANDOFF_REFUSED', `${moved.endpoint}: no room, or of another protocol; it is closed`)
    return new PooledMovable(live.nextId(), clock, upstream.key, pool, connection)
  }

  private adoptAccepted(moved: MovedSingle, transports: readonly Transport[]): Movable {
    const accepted = this.acceptedOf(moved, transports[0]!, transports)
    try {
      return this.deps.protocols[moved.protocol].adopt(accepted, moved, transports)
    } catch (error) {
      accepted.onEnd()
      throw error
    }
  }

  private adoptCohort(moved: MovedCohort, transports: readonly Transport[]): Movable {
    const accepted: Accepted[] = []
    try {
      for (const caller of moved.callers) {
        accepted.push(this.acceptedOf(caller, transports[accepted.length]!, transports))
      }
      return this.deps.cohorts.adopt(moved, accepted, transports)
    } catch (error) {
      for (const { onEnd } of accepted) onEnd()
      throw error
    }
  }

  /** Its host's place at the relay listener comes along. */
  private keepPlace(place: string, onEnd: () => void): () => void {
    const { relays } = this.deps
    relays.takeOver(place)
    let isKept = true
    return () => {
      if (isKept) relays.leave(place)
      isKept = false
      onEnd()
    }
  }

  /** Where it is refused, `all` that came with it are let go. */
  private acceptedOf(moved: MovedAccepted, transport: Transport, all: readonly Transport[]): Accepted {
    const { acceptor, clock, listeners, state } = this.deps
    const bound = listeners.find(moved.listener)
    const identity = moved.identity ?? noIdentity
    // its host may have been denied while it was on its way here
    if (bound === undefined || this.denied.isDenied(bound.spec, identity)) {
      for (const one of all) one.release()
      throw new MeshError(
        'E_HANDOFF_REFUSED',
        `listener ${moved.listener} is not known here, or denies the host; it is closed`,
      )
    }
    if (isSocketPath(bound.spec.address)) knowLocalPeer(transport, this.deps.unixSockets)
    const onEnd = acceptor.counted(bound.count, acceptor.callerIfCrowded(transport))
    return {
      listener: contextOf(bound, moved, state),
      proxy: moved.proxy,
      source: moved.source,
      identity,
      tunnel: moved.tunnel === undefined ? undefined : { ...moved.tunnel, opening: null },
      serverName: moved.serverName ?? '',
      acceptedAt: clock.now - moved.ageMs,
      onEnd: bound.spec.kind === 'relay' ? this.keepPlace(placeOf(transport), onEnd) : onEnd,
    }
  }
}

function contextOf({ context, spec }: BoundListener, moved: MovedAccepted, state: MeshState): ListenerContext {
  const { proxy, serverName = '' } = moved
  if (spec.kind === 'relay') {
    const known = proxy?.service ? state.service(proxy.service as ServiceKey) : undefined
    return known === undefined ? context : relayedContext(context, known)
  }
  const server = spec.kind === 'gateway' ? state.gatewayServer(spec.name, serverName) : undefined
  return server?.tls === undefined ? context : serverContext(context, server)
}

function isPooled(moved: MovedConnection): moved is MovedPooled {
  return moved.protocol === 'pooled' || moved.protocol === 'pooled-link'
}

/** -1 = it cannot be told. */
function socketsOf(moved: MovedConnection, protocols: ProtocolTable): number {
  switch (moved.protocol) {
    case 'pooled':
    case 'pooled-link':
    case 'udp':
      return 1
    case 'http2-cohort':
      return Array.isArray(moved.callers) && Array.isArray(moved.links) ? moved.callers.length + moved.links.length : -1
    default:
      return protocols[moved.protocol].sockets
  }
}
