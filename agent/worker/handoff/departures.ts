/**
 * Connections on their way to another worker: taken out of this process, sent in batches, and back here where that
 * worker does not take them.
 */
import { describeError } from '../../../contracts/errors.ts'
import { maxDescriptorsPerBatch } from '../../../contracts/handoff.ts'
import type { Native } from '../../../native/descriptors.ts'
import type { Detached, Movable } from '../listen/movable.ts'
import type { HandoffDeps } from './handoff-deps.ts'
import type { WorkerLink } from './worker-link.ts'

/** Connections of a batch: small, so that none of them waits long between two processes. */
const maxBatchConnections = 64
/** Bytes of pending data in a batch. */
const maxBatchStateBytes = 4 * 1024 * 1024

export interface DepartureHooks {
  /** It is in the middle of something: nothing was done. */
  onNotReady(connection: Movable): void
  /** It cannot be taken out, and goes on here. */
  onStuck(connection: Movable): void
  onDetached(connection: Movable): void
  onTaken(connection: Movable): void
  /** It goes on here as `back`. `isRefused`: the other worker does not want it; else that worker was lost. */
  onBack(connection: Movable, back: Movable, link: WorkerLink, isRefused: boolean): void
  /** Neither there nor here. */
  onLost(connection: Movable): void
  /** A batch is over. */
  onSettled(link: WorkerLink): void
}

interface Departure {
  readonly connection: Movable
  readonly detached: Detached
}

export class Departures {
  private readonly deps: Pick<HandoffDeps, 'connections' | 'log'>
  private readonly native: Native
  private readonly hooks: DepartureHooks

  constructor(deps: Pick<HandoffDeps, 'connections' | 'log'>, native: Native, hooks: DepartureHooks) {
    this.deps = deps
    this.native = native
    this.hooks = hooks
  }

  /** Sends those that are ready. */
  send(link: WorkerLink, connections: Iterable<Movable>): void {
    let batch: Departure[] = []
    let bytes = 0
    let descriptors = 0
    for (const connection of connections) {
      const detached = this.detach(connection)
      if (detached === undefined) continue
      const isFull = descriptors + detached.descriptors.length > maxDescriptorsPerBatch
      if (batch.length > 0 && isFull) {
        void this.sendBatch(link, batch)
        batch = []
        bytes = 0
        descriptors = 0
      }
      batch.push({ connection, detached })
      bytes += JSON.stringify(detached.state).length
      descriptors += detached.descriptors.length
      if (batch.length < maxBatchConnections && bytes < maxBatchStateBytes) continue
      void this.sendBatch(link, batch)
      batch = []
      bytes = 0
      descriptors = 0
    }
    if (batch.length > 0) void this.sendBatch(link, batch)
  }

  private detach(connection: Movable): Detached | undefined {
    try {
      const detached = connection.isReady ? connection.detach(this.native) : undefined
      if (detached === undefined) this.hooks.onNotReady(connection)
      else this.hooks.onDetached(connection)
      return detached
    } catch (error) {
      this.deps.log('warn', `a connection of ${connection.listener} stays here: ${describeError(error)}`)
      this.hooks.onStuck(connection)
      return undefined
    }
  }

  private async sendBatch(link: WorkerLink, batch: readonly Departure[]): Promise<void> {
    const items = batch.map(({ detached }) => ({ state: detached.state, descriptors: detached.descriptors.length }))
    const refused = await link.send(
      items,
      batch.flatMap(({ detached }) => detached.descriptors),
    )
    batch.forEach((departure, position) => {
      if (refused === undefined || refused.includes(position)) {
        this.takeBack(departure, link, refused !== undefined)
        return
      }
      for (const descriptor of departure.detached.descriptors) this.native.close(descriptor)
      this.hooks.onTaken(departure.connection)
    })
    this.hooks.onSettled(link)
  }

  private takeBack({ connection, detached }: Departure, link: WorkerLink, isRefused: boolean): void {
    let back: Movable
    try {
      back = this.deps.connections.adopt(detached.state, detached.descriptors)
    } catch (error) {
      this.deps.log('error', `a connection of ${connection.listener} was lost in a move: ${describeError(error)}`)
      this.hooks.onLost(connection)
      return
    }
    this.hooks.onBack(connection, back, link, isRefused)
  }
}
