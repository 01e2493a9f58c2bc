/**
 * Empties a worker that has stopped accepting: what can move goes to the successor as soon as it is between two
 * messages, the rest ends by its own means, and what is left at the deadline is cut. Counts each connection once, by
 * protocol and application.
 */
import type { DrainCount, SuccessorName } from '../../../contracts/handoff.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import type { Movable } from '../listen/movable.ts'
import { Departures } from './departures.ts'
import type { HandoffDeps } from './handoff-deps.ts'
import { answerTimeoutMs, WorkerLink } from './worker-link.ts'

const lookAgainMs = 25
/** So long a successor may take to answer before its predecessor leaves without telling it anything. */
const tellStateMs = 3000
/** Without a successor idle HTTP connections get this long to send one more request, ms. */
const idleGraceMs = 500
/**
 * So long before the deadline HTTP answers say `Connection: close`, so that a caller is not cut in its next request; at
 * most a quarter of the time.
 */
const lastCallMs = 1000

export interface DrainOrder {
  readonly successor: SuccessorName | undefined
  readonly deadlineMs: number
}

export interface DrainOutcome {
  readonly counts: readonly DrainCount[]
  readonly durationMs: number
}

/**
 * Who gives connections to this worker while it drains: it must not leave before them, and takes nothing once it has
 * decided to leave.
 */
export interface Predecessors {
  readonly size: number
  close(): void
}

type Fate = 'moved' | 'drained' | 'cut'

/** Connections that are counted and watched each for itself, however they leave. */
function membersOf(connection: Movable): readonly Movable[] {
  return connection.members ?? [connection]
}

export class Drain {
  moved = 0
  private readonly deps: HandoffDeps
  private readonly native: Native | undefined
  private readonly port: DescriptorPort | undefined
  private readonly predecessors: Predecessors | undefined
  /** What went to neighbours just before this drain: it may come back. */
  private readonly balancer: { readonly batchesOut: number } | undefined
  private readonly deadlineMs: number
  private readonly counts = new Map<string, { protocol: string; application: string } & Record<Fate, number>>()
  /** Connections that were here when we looked last, to see which ended by themselves. */
  private readonly known = new Map<number, Movable>()
  /** Refused by the successor: they end here. */
  private readonly unmovable = new Set<number>()
  private readonly departures: Departures | undefined
  private successor: WorkerLink | undefined
  private successorName: SuccessorName | undefined
  /** Earlier successors that have not settled every batch. */
  private readonly left = new Set<WorkerLink>()
  private isFlushPlanned = false
  private isStateSent = false
  private timer: NodeJS.Timeout | undefined
  private readonly onReady = (): void => this.planFlush()

  constructor(
    deps: HandoffDeps,
    native: Native | undefined,
    port: DescriptorPort | undefined,
    order: DrainOrder,
    predecessors?: Predecessors,
    balancer?: { readonly batchesOut: number },
  ) {
    this.deps = deps
    this.native = native
    this.port = port
    this.predecessors = predecessors
    this.deadlineMs = order.deadlineMs
    this.balancer = balancer
    this.departures = native && this.departuresBy(native)
    if (order.successor !== undefined) this.follow(order.successor)
  }

  async run(): Promise<DrainOutcome> {
    const { deps } = this
    const startedAt = deps.now()
    deps.connections.onNew = (connection) => this.watch(connection)
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.lookOver(deps.now(), startedAt)) resolve()
        else this.timer = setTimeout(look, lookAgainMs)
      }
      look()
    })
    clearTimeout(this.timer)
    deps.connections.onNew = null
    if (this.isStateSent) this.tell(deps.exportRest())
    await this.successor?.leave()
    return { counts: [...this.counts.values()], durationMs: Math.round(deps.now() - startedAt) }
  }

  /**
   * The successor is being replaced itself: what is still here goes to the next one, until the deadline of the first
   * order.
   */
  redirect(name: SuccessorName): void {
    const { successor, successorName } = this
    if (successorName?.generation === name.generation && successorName.index === name.index) return
    this.successor = undefined
    for (const connection of this.known.values()) connection.whenReady(null)
    if (successor !== undefined) {
      this.left.add(successor)
      this.partFrom(successor)
    }
    this.unmovable.clear()
    this.follow(name)
  }

  private departuresBy(native: Native): Departures {
    return new Departures(this.deps, native, {
      onNotReady: (connection) => connection.whenReady(this.onReady),
      onStuck: (connection) => {
        for (const one of membersOf(connection)) {
          this.unmovable.add(one.id)
          this.stay(one)
        }
      },
      onDetached: (connection) => membersOf(connection).forEach(({ id }) => this.known.delete(id)),
      onTaken: (connection) => this.countEach(connection, 'moved'),
      // Refused by the one that is still the successor, it has to end here; else the next one is asked.
      onBack: (_connection, back, link, isRefused) => this.isBack(back, isRefused && link === this.successor),
      onLost: (connection) => this.countEach(connection, 'cut'),
      onSettled: (link) => {
        this.partFrom(link)
        if (this.batchesOut === 0) this.deps.onSettled?.()
      },
    })
  }

  private follow(name: SuccessorName): void {
    const { deps, native, port } = this
    if (native === undefined || port === undefined) return
    const { generation, index, runDir } = deps
    this.successorName = name
    const link: WorkerLink = new WorkerLink({ runDir, generation, index, native, port }, name, {
      onOpen: () => {
        if (this.successor !== link) return
        this.tellState()
        this.flush()
      },
      onLost: (reason) => {
        deps.log(
          'warn',
          `worker ${name.index} of generation ${name.generation} does not take connections: ${reason}; they stay here meanwhile`,
        )
        if (this.successor !== link) return
        // Nobody would come for what they hold: they go on here.
        for (const connection of this.known.values()) connection.whenReady(null)
        if (link.isRefused) for (const connection of this.known.values()) this.watch(connection)
      },
    })
    this.successor = link
  }

  private partFrom(link: WorkerLink): void {
    if (!this.left.has(link) || link.batchesOut > 0) return
    this.left.delete(link)
    void link.leave()
  }

  /**
   * Every 25 ms: what ended, what can go, whether the time is up. True when nothing is left, and then nothing can come
   * any more.
   */
  private lookOver(now: number, startedAt: number): boolean {
    const { connections } = this.deps
    const live = connections.list()
    const isLive = new Set(live.map((connection) => connection.id))
    for (const [id, connection] of this.known) {
      if (isLive.has(id)) continue
      this.known.delete(id)
      this.count(connection.protocol, connection.listener, 'drained')
    }
    for (const connection of live) if (!this.known.has(connection.id)) this.watch(connection)
    const deadline = startedAt + this.deadlineMs
    if (now >= deadline) return this.endAtDeadline(live, now >= deadline + answerTimeoutMs)
    if (now >= deadline - Math.min(lastCallMs, this.deadlineMs / 4)) {
      for (const connection of live) connection.drain()
    }
    if (this.canMove) {
      this.successor!.dial(now)
      this.flush()
    } else if (now - startedAt >= idleGraceMs) {
      for (const connection of live) {
        if (!connection.isIdle) continue
        this.known.delete(connection.id)
        this.count(connection.protocol, connection.listener, 'drained')
        connection.abort()
      }
    }
    // Even without a connection to move, the successor should go on with what we have counted and learnt.
    const mayStillTell = this.canMove && !this.isStateSent && now - startedAt < tellStateMs
    const isEmpty = connections.list().length === 0 && connections.arriving === 0 && this.batchesOut === 0
    if (!isEmpty || mayStillTell || (this.predecessors?.size ?? 0) > 0) return false
    this.predecessors?.close()
    return true
  }

  private endAtDeadline(live: readonly Movable[], isOverdue: boolean): boolean {
    this.predecessors?.close()
    this.cut(live)
    if (this.batchesOut > 0 && !isOverdue) return false
    for (let index = 0; index < this.deps.connections.arriving; index++) this.count('arriving', '', 'cut')
    return true
  }

  private get canMove(): boolean {
    return this.successor !== undefined && !this.successor.isRefused
  }

  private get batchesOut(): number {
    let sum = (this.successor?.batchesOut ?? 0) + (this.balancer?.batchesOut ?? 0)
    for (const link of this.left) sum += link.batchesOut
    return sum
  }

  private watch(connection: Movable): void {
    this.known.set(connection.id, connection)
    if (!this.canMove || this.unmovable.has(connection.id)) this.stay(connection)
    else if (this.successor!.isOpen) connection.whenReady(this.onReady)
  }

  /** It goes on here and ends by its own means. */
  private stay(connection: Movable): void {
    connection.whenReady(null)
    connection.drain()
  }

  private planFlush(): void {
    if (this.isFlushPlanned) return
    this.isFlushPlanned = true
    setImmediate(() => {
      this.isFlushPlanned = false
      this.flush()
    })
  }

  /** Sends what is ready. What is not, for instance because its next request came first, is asked to say so again. */
  private flush(): void {
    const link = this.successor
    if (link?.isOpen !== true) return
    const { connections } = this.deps
    const mayMove = (connection: Movable): boolean => membersOf(connection).every(({ id }) => !this.unmovable.has(id))
    const alone = [...connections.list(), ...connections.listPooled()]
    this.departures?.send(link, alone.filter(mayMove))
    this.departures?.send(link, connections.listCohorts().filter(mayMove))
  }

  private isBack(back: Movable, isUnmovable: boolean): void {
    if (back.protocol === 'pooled') {
      if (isUnmovable) back.abort()
      return
    }
    for (const one of membersOf(back)) {
      if (isUnmovable) this.unmovable.add(one.id)
      this.watch(one)
    }
  }

  private tellState(): void {
    if (this.isStateSent) return
    this.isStateSent = true
    this.tell(this.deps.exportState())
  }

  private tell(parts: Readonly<Record<string, unknown>>): void {
    for (const [part, body] of Object.entries(parts)) this.successor?.tell(part, body)
  }

  private cut(live: readonly Movable[]): void {
    for (const connection of live) {
      this.known.delete(connection.id)
      this.count(connection.protocol, connection.listener, connection.isIdle ? 'drained' : 'cut')
      connection.abort()
    }
  }

  private countEach(connection: Movable, fate: Fate): void {
    for (const { listener, protocol } of membersOf(connection)) this.count(protocol, listener, fate)
  }

  private count(protocol: string, listener: string, fate: Fate): void {
    const application = this.deps.applicationOf?.(listener) ?? listener
    const key = `${protocol} ${application}`
    const record = this.counts.get(key) ?? { protocol, application, moved: 0, drained: 0, cut: 0 }
    record[fate]++
    this.counts.set(key, record)
    if (fate === 'moved') this.moved++
  }
}
