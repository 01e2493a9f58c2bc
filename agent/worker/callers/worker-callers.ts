import type { StatSeries } from '../../../contracts/control-link.ts'
import { callerName } from '../listen/caller-identity.ts'
import type { CallerIdentity } from '../listen/caller-identity.ts'
import type { Accepted } from '../listen/accepted.ts'
import { MemoryPressure } from '../observe/memory-pressure.ts'
import { single } from '../observe/gauges.ts'
import type { Transport } from '../transport/transport.ts'
import type { CallerAccount } from './caller-account.ts'
import { CallerAccounts } from './caller-accounts.ts'
import { FairTurns } from './fair-turns.ts'
import { LoadShedder } from './load-shedder.ts'
import type { LoadShedderDeps } from './load-shedder.ts'

export interface WorkerCallersDeps extends Omit<LoadShedderDeps, 'isOutOfMemory'> {
  /** Bytes at which the watchdog replaces the worker; undefined = nobody does. */
  readonly memoryAllowed: () => number | undefined
  /** Monotonic ms. */
  readonly now: () => number
  readonly identity: Pick<CallerIdentity, 'shareOf'>
  /** Most requests that may wait for their turn. */
  readonly mostWaiting: () => number
}

/** What a worker knows of its callers, and how it shares itself between them. */
export class WorkerCallers {
  readonly turns: FairTurns
  readonly shedder: LoadShedder
  readonly pressure: MemoryPressure
  /** Not of a worker whose connections leave: one with a refusal that is to be told yet cannot. */
  readonly refusals = { areHeldBack: true }
  private readonly accounts = new CallerAccounts()
  private readonly deps: WorkerCallersDeps

  constructor(deps: WorkerCallersDeps) {
    this.deps = deps
    const { memoryAllowed: allowed, warn } = deps
    this.pressure = new MemoryPressure({ resident: () => process.memoryUsage.rss(), allowed, warn })
    this.shedder = new LoadShedder({ ...deps, isOutOfMemory: () => this.pressure.isOut })
    this.turns = new FairTurns({
      now: deps.now,
      most: deps.mostWaiting,
      behindTurn: (callback) => void setImmediate(callback),
    })
  }

  readonly accountOf = (accepted: Accepted, transport: Transport): CallerAccount =>
    this.accounts.of(callerName(accepted, transport, this.deps.identity))

  /** Every `lookMs`. */
  look(now: number): void {
    this.pressure.look(now)
    this.shedder.look(now)
  }

  series(): StatSeries[] {
    const { accounts, shedder, turns } = this
    return [
      ...accounts.series(),
      single('hostmesh_requests_in_hand', 'gauge', 'Requests that were begun and are not over', turns.inHand),
      single('hostmesh_requests_awaiting_turn', 'gauge', 'Requests that wait for the turn of their caller', turns.size),
      single(
        'hostmesh_overload_shed_share',
        'highest',
        'Share of requests that are refused for overload',
        shedder.share,
      ),
      single('hostmesh_overload_shed_total', 'counter', 'Requests refused for overload of the worker', shedder.shed),
    ]
  }
}
