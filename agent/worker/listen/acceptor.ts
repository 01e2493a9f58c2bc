import { firstProtocol } from '../../../contracts/protocols.ts'
import type { LimitsSpec, ListenerSpec } from '../../../contracts/snapshot.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Clock } from '../transport/clock.ts'
import type { Transport } from '../transport/transport.ts'
import { Arriving } from './arriving.ts'
import type { IntakeStep } from './arriving.ts'
import type { CallerShares } from './caller-shares.ts'
import type { ListenerContext } from './listener-context.ts'
import type { ProtocolTable } from './protocol-table.ts'

export interface AcceptorDeps {
  readonly clock: Clock
  readonly tallies: Tallies
  readonly limits: () => LimitsSpec
  /** This process holds nearly as much memory as it may have. */
  readonly isShortOfMemory: () => boolean
  /** Closes a connection that rests, of this caller where one is named; false when there is none. */
  readonly makeRoom: (caller?: string) => boolean
  readonly shares: CallerShares
  /** Whose share it takes: a user of this host, or an address. Costs a question to the kernel. */
  readonly callerOf: (transport: Transport) => string
  /** In this order, each for every connection; a step that has nothing to do hands on at once. */
  readonly steps: readonly IntakeStep[]
  readonly protocols: ProtocolTable
}

/** Counts a listener's connections. */
export interface ConnectionCount {
  connections: number
}

/**
 * From an accepted socket to its protocol: the bound, the row of intake steps, the protocol table. Bound:
 * `maxConnections` of the worker's limits over all listeners. At it a connection without a request gives its place, so
 * that nobody keeps others out by holding connections; where none rests, and while memory is short, the new one is
 * closed at once. While more than half of the places are taken, one caller gets a share of them (`caller-shares.ts`).
 * All of these are counted.
 */
export class Acceptor {
  connections = 0
  private readonly deps: AcceptorDeps

  constructor(deps: AcceptorDeps) {
    this.deps = deps
  }

  accept(transport: Transport, spec: ListenerSpec, context: ListenerContext, count: ConnectionCount): void {
    const { clock, limits, tallies } = this.deps
    clock.refresh()
    tallies.acceptedConnections++
    if (this.deps.isShortOfMemory()) {
      tallies.memorySheds++
      transport.close()
      return
    }
    const { maxConnections } = limits()
    const caller = this.callerIfCrowded(transport)
    if (caller !== '' && !this.findPlace(caller, maxConnections)) {
      transport.close()
      return
    }
    this.takeStep(new Arriving(transport, spec, context, this.counted(count, caller)))
  }

  /** '' while there is room enough for everybody. */
  callerIfCrowded(transport: Transport): string {
    const isCrowded = this.deps.shares.isCrowded(this.connections, this.deps.limits().maxConnections)
    return isCrowded ? this.deps.callerOf(transport) : ''
  }

  private findPlace(caller: string, bound: number): boolean {
    const { makeRoom, shares, tallies } = this.deps
    const isUsedUp = shares.isUsedUp(caller, bound)
    const isFull = this.connections >= bound
    if (!isUsedUp && !isFull) return true
    if (isUsedUp ? makeRoom(caller) : makeRoom()) {
      tallies.yieldedConnections++
      return true
    }
    if (isUsedUp) shares.report(caller, this.connections, bound)
    if (isFull) tallies.shedConnections++
    else tallies.overShareConnections++
    return false
  }

  /** Counts a connection in; the answer takes it out again, once. `caller`: of `callerIfCrowded`. */
  counted(count: ConnectionCount, caller: string): () => void {
    this.connections++
    count.connections++
    if (caller !== '') this.deps.shares.enter(caller)
    let isCounted = true
    return () => {
      if (!isCounted) return
      isCounted = false
      this.connections--
      count.connections--
      if (caller !== '') this.deps.shares.leave(caller)
    }
  }

  private readonly takeStep = (arriving: Arriving): void => {
    const step = this.deps.steps[arriving.nextStep++]
    if (step !== undefined) {
      step.begin(arriving, this.takeStep)
      return
    }
    const { context, identity, onEnd, proxy, received, serverName, source, transport, tunnel } = arriving
    const acceptedAt = this.deps.clock.now
    const accepted = { listener: context, proxy, source, identity, serverName, tunnel, acceptedAt, onEnd }
    this.deps.protocols[firstProtocol(context.protocol)].begin!(accepted, transport, received)
  }
}
