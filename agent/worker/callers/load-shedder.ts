/**
 * Refuses a part of the requests while the worker cannot keep up (Envoy's overload manager).
 *
 * Why: a worker whose loop is late answers everybody late; a refusal costs it less than a request. When it trips: its
 * loop was late by more than `lateMs` in each of the last five looks, or it holds more than 95 % of the memory that it
 * may have. (A host whose processors are busy with others makes a loop late by some 100 ms now and then; that is no
 * reason to refuse anybody.) Each look in which that is so refuses a tenth more, up to nine tenths, each other look a
 * tenth less. What asks whether the host is well passes: the host's own probe, and up to `healthPerSecond` health
 * checks of gRPC and of agents. Admin is another process. Recovery: a second after the cause is over. Cold start:
 * nothing is refused.
 */
import { LogPause } from '../../../contracts/log-pause.ts'
import type { RequestMessage } from '../forward/streams.ts'

export interface LoadShedderDeps {
  readonly random: () => number
  /** This process holds so much memory that it takes no more requests. */
  readonly isOutOfMemory: () => boolean
  readonly warn: (message: string) => void
}

/** Between two looks, ms. */
export const lookMs = 100
export const shedding = { lateMs: 500, looks: 5, step: 0.1, most: 0.9, healthPerSecond: 100 } as const

const grpcHealth = '/grpc.health.v1.Health/'
const agentCheck = 'hostmesh-check'

export class LoadShedder {
  /** Of requests, 0..1. */
  share = 0
  /** Requests refused. */
  shed = 0
  private readonly deps: LoadShedderDeps
  private lookedAt = -1
  private lateLooks = 0
  private health = 0
  private healthFrom = 0
  private readonly pause = new LogPause()

  constructor(deps: LoadShedderDeps) {
    this.deps = deps
  }

  /** Every `lookMs`, as well as the loop can. `now`: monotonic ms. */
  look(now: number): void {
    const lateMs = this.lookedAt < 0 ? 0 : now - this.lookedAt - lookMs
    this.lookedAt = now
    this.lateLooks = lateMs > shedding.lateMs ? this.lateLooks + 1 : 0
    const isLate = this.lateLooks >= shedding.looks
    const isOver = isLate || this.deps.isOutOfMemory()
    const share = this.share + (isOver ? shedding.step : -shedding.step)
    this.share = Math.min(shedding.most, Math.max(0, Math.round(share * 10) / 10))
    if (!isOver || !this.pause.allows(now)) return
    const why = isLate ? `its loop is ${Math.round(lateMs)} ms late` : 'it is short of memory'
    this.deps.warn(`a part of the requests is refused with E_OVERLOAD, ${this.shed} until now: ${why}`)
  }

  /** Whether this request is refused. */
  refuses(request: Pick<RequestMessage, 'path' | 'header'>, isOfHost: boolean): boolean {
    if (this.share === 0 || isOfHost || this.isHealthCheck(request) || this.deps.random() >= this.share) return false
    this.shed++
    return true
  }

  /** Anybody may call himself one, so only so many pass in a second. */
  private isHealthCheck(request: Pick<RequestMessage, 'path' | 'header'>): boolean {
    if (!request.path.startsWith(grpcHealth) && request.header('user-agent') !== agentCheck) return false
    if (this.lookedAt - this.healthFrom >= 1000) {
      this.healthFrom = this.lookedAt
      this.health = 0
    }
    return ++this.health <= shedding.healthPerSecond
  }
}
