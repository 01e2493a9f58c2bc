/**
 * Empties a worker that has stopped accepting: what can move goes to the successor as soon as it is between two messages, the rest ends by its own
 * means, and what is left at the deadline is cut. Counts each connection once, by protocol and application.
 */
import { join } from 'node:path'
import { describeError } from '../../../contracts/errors.ts'
import { handoffVersion, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import type { DrainCount, MovedItem, SuccessorName, SuccessorToPredecessor } from '../../../contracts/handoff.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { BatchSender } from '../../../native/batch-sender.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import { dialFrames } from '../../../native/frame-stream.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'
import type { Detached, Movable } from '../listen/movable.ts'
import type { HandoffDeps } from './index.ts'

/** Connections of a batch: small, so that none of them waits long between two processes. */
const maxBatchConnections = 64
/** Bytes of pending data in a batch. */
const maxBatchStateBytes = 4 * 1024 * 1024
const lookAgainMs = 25
const redialMs = 250
const welcomeTimeoutMs = 2000
/** So long a successor may take to answer before its predecessor leaves without telling it anything. */
const tellStateMs = 3000
/** Without a successor idle HTTP connections get this long to send one more request, ms. */
const idleGraceMs = 500

export interface DrainOrder {
  readonly successor: SuccessorName | undefined
  readonly deadlineMs: number
}

export interface DrainOutcome {
  readonly counts: readonly DrainCount[]
  readonly durationMs: number
}

type Fate = 'moved' | 'drained' | 'cut'

export class Drain {
  moved = 0
  private readonly deps: HandoffDeps
  private readonly native: Native | undefined
  private readonly port: DescriptorPort | undefined
  private readonly order: DrainOrder
  private readonly counts = new Map<string, { protocol: string; application: string } & Record<Fate, number>>()
  /** Connections that were here when we looked last, to see which ended by themselves. */
  private readonly known = new Map<number, Movable>()
  /** Refused by the successor: they end here. */
  private readonly unmovable = new Set<number>()
  private stream: FrameStream | undefined
  private sender: BatchSender | undefined
  private batchesOut = 0
  private nextDialAt = 0
  private isDialing = false
  private isFlushPlanned = false
  private isStateSent = false
  private onStreamClosed: (() => void) | undefined
  private isRefused = false
  private readonly onTaken = new Map<readonly MovedItem[], (refused: readonly number[]) => void>()
  private readonly itemsOf = new Map<number, readonly MovedItem[]>()
  private timer: NodeJS.Timeout | undefined

  constructor(deps: HandoffDeps, native: Native | undefined, port: DescriptorPort | undefined, order: DrainOrder) {
    this.deps = deps
    this.native = native
    this.port = port
    this.order = order
  }

  async run(): Promise<DrainOutcome> {
    const { deps } = this
    const startedAt = deps.now()
    const deadline = startedAt + this.order.deadlineMs
    deps.connections.onNew = (connection) => this.watch(connection)
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.lookOver(deps.now(), startedAt, deadline)) resolve()
        else this.timer = setTimeout(look, lookAgainMs)
      }
      look()
    })
    clearTimeout(this.timer)
    deps.connections.onNew = null
    await this.sayGoodbye()
    return { counts: [...this.counts.values()], durationMs: Math.round(deps.now() - startedAt) }
  }

  /** Every 25 ms: what ended, what can go, whether the time is up. True when nothing is left. */
  private lookOver(now: number, startedAt: number, deadline: number): boolean {
    const { connections } = this.deps
    const live = connections.list()
    const isLive = new Set(live.map((connection) => connection.id))
    for (const [id, connection] of this.known) {
      if (isLive.has(id)) continue
      this.known.delete(id)
      this.count(connection, 'drained')
    }
    for (const connection of live) if (!this.known.has(connection.id)) this.watch(connection)
    if (now >= deadline) {
      this.cut(live)
      return this.batchesOut === 0 || now >= deadline + welcomeTimeoutMs
    }
    if (this.canMove) {
      if (this.stream === undefined) this.dialSuccessor(now)
      else this.flush()
    } else if (now - startedAt >= idleGraceMs) {
      for (const connection of live) {
        if (connection.protocol !== 'http1' || !connection.isReady) continue
        this.known.delete(connection.id)
        this.count(connection, 'drained')
        connection.abort()
      }
    }
    // Even without a connection to move, the successor should go on with what we have counted and learnt.
    const mayStillTell = this.canMove && !this.isStateSent && now - startedAt < tellStateMs
    return connections.list().length === 0 && this.batchesOut === 0 && !mayStillTell
  }

  /** The last bytes must leave this process before it does: the successor closes when it has read everything. */
  private sayGoodbye(): Promise<void> {
    const { stream } = this
    if (stream === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, welcomeTimeoutMs)
      this.onStreamClosed = () => {
        clearTimeout(timer)
        resolve()
      }
      stream.send({ type: 'done' })
      stream.end()
    })
  }

  private get canMove(): boolean {
    return !this.isRefused && this.order.successor !== undefined && this.native !== undefined && this.port !== undefined
  }

  private watch(connection: Movable): void {
    this.known.set(connection.id, connection)
    if (this.canMove && !this.unmovable.has(connection.id)) {
      connection.whenReady(() => this.planFlush())
      if (connection.isReady) this.planFlush()
    } else if (connection.protocol === 'http1') {
      // A pair would be reset at once; it may end by itself until the deadline.
      connection.drain()
    }
  }

  private planFlush(): void {
    if (this.isFlushPlanned) return
    this.isFlushPlanned = true
    setImmediate(() => {
      this.isFlushPlanned = false
      this.flush()
    })
  }

  private flush(): void {
    if (this.stream === undefined) return
    const { connections } = this.deps
    const movable = [...connections.list(), ...connections.listPooled()]
    let batch: { readonly connection: Movable; readonly detached: Detached }[] = []
    let bytes = 0
    for (const connection of movable) {
      if (!connection.isReady || this.unmovable.has(connection.id)) continue
      const detached = this.detach(connection)
      if (detached === undefined) continue
      batch.push({ connection, detached })
      bytes += JSON.stringify(detached.state).length
      if (batch.length >= maxBatchConnections || bytes >= maxBatchStateBytes) {
        this.sendBatch(batch)
        batch = []
        bytes = 0
      }
    }
    if (batch.length > 0) this.sendBatch(batch)
  }

  private detach(connection: Movable): Detached | undefined {
    try {
      const detached = connection.detach((descriptor) => this.native!.duplicate(descriptor))
      if (detached !== undefined) this.known.delete(connection.id)
      return detached
    } catch (error) {
      this.unmovable.add(connection.id)
      this.deps.log('warn', `a connection of ${connection.listener} stays here: ${describeError(error)}`)
      return undefined
    }
  }

  private sendBatch(batch: readonly { readonly connection: Movable; readonly detached: Detached }[]): void {
    const items: MovedItem[] = batch.map(({ detached }) => ({
      state: detached.state,
      descriptors: detached.descriptors.length,
    }))
    const descriptors = batch.flatMap(({ detached }) => detached.descriptors)
    this.batchesOut++
    let refused: readonly number[] = []
    this.onTaken.set(items, (positions) => {
      refused = positions
    })
    void this.sender!.send(descriptors, (number) => {
      this.itemsOf.set(number, items)
      this.stream?.send({ type: 'connections', batch: number, items })
    }).then((outcome) => {
      this.batchesOut--
      this.onTaken.delete(items)
      batch.forEach(({ connection, detached }, position) => {
        if (outcome === 'received' && !refused.includes(position)) {
          for (const descriptor of detached.descriptors) this.native!.close(descriptor)
          this.count(connection, 'moved')
        } else {
          this.takeBack(connection, detached, outcome === 'received')
        }
      })
      return undefined
    })
  }

  /** The successor did not take it: it goes on here, and moves later only if the successor had no say in it. */
  private takeBack(connection: Movable, detached: Detached, isRefused: boolean): void {
    try {
      const back = this.deps.connections.adopt(detached.state, detached.descriptors)
      if (isRefused) this.unmovable.add(back.id)
      if (back.protocol === 'pooled' && isRefused) back.abort()
      else if (back.protocol !== 'pooled') this.watch(back)
    } catch (error) {
      this.deps.log('error', `a connection of ${connection.listener} was lost in a move: ${describeError(error)}`)
      this.count(connection, 'cut')
    }
  }

  private dialSuccessor(now: number): void {
    if (this.isDialing || now < this.nextDialAt) return
    this.isDialing = true
    this.nextDialAt = now + redialMs
    const { generation, index } = this.order.successor!
    const { deps } = this
    const giveUp = setTimeout(() => stream?.close(), welcomeTimeoutMs)
    let stream: FrameStream | undefined
    const lost = (reason: string): void => {
      clearTimeout(giveUp)
      this.isDialing = false
      this.stream = undefined
      this.sender?.close()
      this.sender = undefined
      deps.log(
        'warn',
        `worker ${index} of generation ${generation} does not take connections: ${reason}; they stay here meanwhile`,
      )
    }
    dialFrames(join(deps.runDir, runFiles.workerTakeover(generation, index)), maxHandoffFrameBytes, this.native, {
      onMessage: (raw) => {
        const message = raw as unknown as SuccessorToPredecessor
        if (message.type === 'welcome') {
          clearTimeout(giveUp)
          this.isDialing = false
          this.sender = new BatchSender(this.port!, join(deps.runDir, runFiles.workerDescriptors(generation, index)))
          this.stream = stream
          this.sendState()
          this.flush()
        } else if (message.type === 'refused') {
          this.isRefused = true
          lost(message.message)
          stream?.close()
          for (const connection of this.known.values()) this.watch(connection)
        } else if (message.type === 'taken') {
          const items = this.itemsOf.get(message.batch)
          this.itemsOf.delete(message.batch)
          if (items !== undefined) this.onTaken.get(items)?.(message.refused)
          this.sender?.acknowledge(message.batch)
        }
      },
      onClose: (error) => {
        if (this.onStreamClosed === undefined) lost(error?.message ?? 'closed')
        else this.onStreamClosed()
      },
    }).then(
      (dialed) => {
        stream = dialed
        dialed.send({
          type: 'hello',
          link: handoffVersion,
          generation: deps.generation,
          index: deps.index,
          pid: process.pid,
        })
        return undefined
      },
      (error: unknown) => lost(describeError(error)),
    )
  }

  private sendState(): void {
    if (this.isStateSent) return
    this.isStateSent = true
    for (const [part, body] of Object.entries(this.deps.exportState())) this.stream?.send({ type: 'state', part, body })
  }

  private cut(live: readonly Movable[]): void {
    for (const connection of live) {
      this.known.delete(connection.id)
      this.count(connection, connection.protocol === 'http1' && connection.isReady ? 'drained' : 'cut')
      connection.abort()
    }
  }

  private count(connection: Movable, fate: Fate): void {
    const application = this.deps.applicationOf?.(connection.listener) ?? connection.listener
    const key = `${connection.protocol} ${application}`
    const record = this.counts.get(key) ?? { protocol: connection.protocol, application, moved: 0, drained: 0, cut: 0 }
    record[fate]++
    this.counts.set(key, record)
    if (fate === 'moved') this.moved++
  }
}
