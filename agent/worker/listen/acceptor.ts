import { firstProtocol } from '../../../contracts/protocols.ts'
import type { LimitsSpec, ListenerSpec } from '../../../contracts/snapshot.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Clock } from '../transport/clock.ts'
import type { Transport } from '../transport/transport.ts'
import { Arriving } from './arriving.ts'
import type { IntakeStep } from './arriving.ts'
import type { ListenerContext } from './listener-context.ts'
import type { ProtocolTable } from './protocol-table.ts'

export interface AcceptorDeps {
  readonly clock: Clock
  readonly tallies: Tallies
  readonly limits: () => LimitsSpec
  /** This process holds nearly as much memory as it may have. */
  readonly isShortOfMemory: () => boolean
  /** Closes a connection that rests; false when there is none. */
  readonly makeRoom: () => boolean
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
 * closed at once. Both are counted.
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
    if (this.connections >= limits().maxConnections) {
      if (!this.deps.makeRoom()) {
        tallies.shedConnections++
        transport.close()
        return
      }
      tallies.yieldedConnections++
    }
    this.takeStep(new Arriving(transport, spec, context, this.counted(count)))
  }

  /** Counts a connection in; the answer takes it out again, once. */
  counted(count: ConnectionCount): () => void {
    this.connections++
    count.connections++
    let isCounted = true
    return () => {
      if (!isCounted) return
      isCounted = false
      this.connections--
      count.connections--
    }
  }

  private readonly takeStep = (arriving: Arriving): void => {
    const step = this.deps.steps[arriving.nextStep++]
    if (step !== undefined) {
      step.begin(arriving, this.takeStep)
      return
    }
    const { context, identity, onEnd, proxy, received, source, transport } = arriving
    const accepted = { listener: context, proxy, source, identity, acceptedAt: this.deps.clock.now, onEnd }
    this.deps.protocols[firstProtocol[context.protocol]].begin!(accepted, transport, received)
  }
}
