/**
 * Keeps the workers of one generation equally busy, with a worker of the next one as their equal while that is a
 * canary. The kernel spreads new connections by a hash, and after that they stay where they are: with few long-lived
 * connections one worker can have most of them while another one rests.
 *
 * How: the watchdog's ping tells every worker how many connections of each carried something since the ping before. A
 * worker that is above the mean in two looks one after the other gives some of those to the least busy one, each
 * between two messages, the way a hot restart moves them. What carries nothing stays where it is: it makes nobody busy.
 *
 * Damping: two looks for each move; never more than what is above the mean; at most `maxGifts` at a time. A worker that
 * drains, is suspected, or is not known neither gives nor is given anything.
 */
import type { SuccessorName, WorkerLoad } from '../../../contracts/handoff.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import type { Movable } from '../listen/movable.ts'
import { Departures } from './departures.ts'
import { giftsOf } from './even-spread.ts'
import type { HandoffDeps } from './handoff-deps.ts'
import { WorkerLink } from './worker-link.ts'

/** Where a canary stands among the workers that are compared. */
const canaryPlace = -1
/** Uneven in so many looks one after the other: only then something moves. */
const looksBeforeMove = 2

export class ConnectionBalancer {
  private readonly deps: HandoffDeps
  private readonly native: Native
  private readonly port: DescriptorPort
  private readonly departures: Departures
  /** By generation and index. */
  private readonly links = new Map<string, WorkerLink>()
  /** Asked to say when they are between two messages, and for whom. */
  private readonly asked = new Map<Movable, WorkerLink>()
  private ready: { readonly connection: Movable; readonly link: WorkerLink }[] = []
  /** Refused by a neighbour or not to be taken out: not asked again. */
  private readonly unmovable = new WeakSet<Movable>()
  private unevenLooks = 0
  private isStopped = false
  private readonly onReady = (connection: Movable): void => this.take(connection)

  constructor(deps: HandoffDeps, native: Native, port: DescriptorPort) {
    this.deps = deps
    this.native = native
    this.port = port
    this.departures = new Departures(deps, native, {
      onNotReady: (connection) => connection.whenReady(null),
      onStuck: (connection) => this.keep(connection),
      onDetached: () => {},
      onTaken: () => deps.balanced.givenConnections++,
      onBack: (_connection, back, _link, isRefused) => {
        if (isRefused) this.unmovable.add(back)
      },
      onLost: () => {},
      onSettled: (link) => this.partFrom(link),
    })
  }

  /** Batches that are not settled yet. */
  get batchesOut(): number {
    let sum = 0
    for (const link of this.links.values()) sum += link.batchesOut
    return sum
  }

  /**
   * With each ping: `loads` of all workers of the generation, this one among them; undefined when there is nothing to
   * compare.
   */
  look(
    loads: readonly WorkerLoad[] | undefined,
    active: readonly Movable[],
    canary?: WorkerLoad & SuccessorName,
  ): void {
    this.withdraw()
    if (this.isStopped) return
    const { generation, index: own } = this.deps
    const all = loads === undefined || canary === undefined ? loads : [...loads, { ...canary, index: canaryPlace }]
    const gifts = (all === undefined ? [] : giftsOf(own, all)).map(({ count, to }) => ({
      count,
      to: to === canaryPlace ? { generation: canary!.generation, index: canary!.index } : { generation, index: to },
    }))
    this.unevenLooks = gifts.length === 0 ? 0 : this.unevenLooks + 1
    if (gifts.length === 0) return
    const isOpen = gifts.map(({ to }) => this.linkTo(to).isOpen)
    if (this.unevenLooks < looksBeforeMove || !isOpen.every(Boolean)) return
    this.unevenLooks = 0
    const { log } = this.deps
    const candidates = inOrder(active.filter((connection) => !this.unmovable.has(connection)))
    for (const { count, to } of gifts) {
      log('info', `${this.nameOf(to)} is less busy: giving it ${count} of ${active.length} active connections`)
      for (const connection of candidates.splice(0, count)) {
        this.asked.set(connection, this.linkTo(to))
        connection.whenReady(this.onReady)
      }
    }
  }

  /** This worker drains from now on. What is under way is settled still. */
  stop(): void {
    this.isStopped = true
    this.withdraw()
    for (const link of this.links.values()) this.partFrom(link)
  }

  /** Whoever did not come to a pause since the last look goes on. */
  private withdraw(): void {
    for (const connection of this.asked.keys()) connection.whenReady(null)
    this.asked.clear()
  }

  private keep(connection: Movable): void {
    this.unmovable.add(connection)
    connection.whenReady(null)
  }

  private take(connection: Movable): void {
    const link = this.asked.get(connection)
    if (link === undefined) {
      connection.whenReady(null)
      return
    }
    this.asked.delete(connection)
    this.ready.push({ connection, link })
    if (this.ready.length === 1) setImmediate(() => this.flush())
  }

  private flush(): void {
    const { ready } = this
    this.ready = []
    for (const link of new Set(ready.map((one) => one.link))) {
      const connections = ready.filter((one) => one.link === link).map((one) => one.connection)
      if (link.isOpen && !this.isStopped) this.departures.send(link, connections)
      else for (const connection of connections) connection.whenReady(null)
    }
  }

  private nameOf({ generation, index }: SuccessorName): string {
    return generation === this.deps.generation ? `worker ${index}` : `the canary of generation ${generation}`
  }

  private linkTo(name: SuccessorName): WorkerLink {
    const key = `${name.generation}.${name.index}`
    let link = this.links.get(key)
    if (link === undefined) {
      const { deps, native, port } = this
      const { generation, index: own, runDir } = deps
      const made = new WorkerLink({ runDir, generation, index: own, native, port, isNeighbour: true }, name, {
        onOpen: () => {},
        onLost: (reason) => {
          if (this.isStopped) return
          deps.log('warn', `${this.nameOf(name)} takes no connections: ${reason}; they stay here`)
          // A link that was refused never opens again; whoever has this index next may speak otherwise. A canary that
          // is gone does not come back.
          if (made.isRefused || name.generation !== generation) this.links.delete(key)
        },
      })
      link = made
      this.links.set(key, link)
    }
    link.dial(this.deps.now())
    return link
  }

  private partFrom(link: WorkerLink): void {
    if (this.isStopped && link.batchesOut === 0) void link.leave()
  }
}

/** Those that are between two messages first: they need not be waited for. */
function inOrder(connections: readonly Movable[]): Movable[] {
  return [...connections.filter(({ isReady }) => isReady), ...connections.filter(({ isReady }) => !isReady)]
}
