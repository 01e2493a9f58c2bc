import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { CallerAccount } from '../callers/caller-account.ts'
import type { Accepted } from '../listen/accepted.ts'
import { factsOf } from '../listen/connection-facts.ts'
import type { ConnectionFacts, Movable } from '../listen/movable.ts'
import type { Transport } from '../transport/transport.ts'
import type { Caller } from './caller.ts'

export interface CallerConnectionDeps {
  readonly live: { nextId(): number }
  /** Whose share of this worker's bounds a connection uses. */
  accountOf(accepted: Accepted, transport: Transport): CallerAccount
}

/** The caller's side of a connection, whatever it speaks: who calls, and how it is offered to who wants to move it. */
export abstract class CallerConnection<Deps extends CallerConnectionDeps> implements Caller {
  readonly id: number
  readonly accepted: Accepted
  /** Requests that are over. */
  served = 0
  abstract readonly transport: Transport
  private known: CallerAccount | null = null
  protected onReady: ((connection: Movable) => void) | null = null
  protected readonly deps: Deps

  protected constructor(deps: Deps, accepted: Accepted) {
    this.deps = deps
    this.id = deps.live.nextId()
    this.accepted = accepted
  }

  get listener(): string {
    return this.accepted.listener.name
  }
  get source(): SourceAppSpec | undefined {
    return this.accepted.source
  }
  get scheme(): 'http' | 'https' {
    return this.accepted.listener.edge?.scheme ?? 'http'
  }
  get localPort(): number {
    return this.accepted.listener.port
  }
  get sourceAddress(): string {
    return this.accepted.proxy?.sourceAddress ?? this.transport.peer().address
  }
  /** Whose share of this worker's bounds it uses: asked for once, when something of it is needed. */
  get account(): CallerAccount {
    this.known ??= this.deps.accountOf(this.accepted, this.transport)
    return this.known
  }

  /** For an operator's list. */
  describe(): ConnectionFacts {
    return { ...factsOf(this.accepted, this.transport), requests: this.served }
  }

  /** It may leave the process now. */
  protected abstract get isReady(): boolean

  /** Told in a later turn, and only when it still may leave then. */
  protected offer(self: Movable): void {
    queueMicrotask(() => {
      const callback = this.onReady
      if (callback === null || !this.isReady) return
      this.onReady = null
      callback(self)
    })
  }
}
