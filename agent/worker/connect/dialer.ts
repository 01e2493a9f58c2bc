import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ConnectionPoolSpec } from '../../../contracts/policy-spec.ts'
import { Outcome } from '../balance/types.ts'
import type { Clock } from '../transport/clock.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { Dial, DialCallback, Transport, Transports } from '../transport/transport.ts'
import { notItsUser } from './dial-guard.ts'
import type { SocketOptions } from './socket-options.ts'

export interface DialerDeps {
  readonly transports: Transports
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly socketOptions: SocketOptions
  /** The system refused a dial, or nobody listens there who may: the application is not there. */
  readonly onRefused: (address: string, port: number) => void
  /** Why no connection may be made there, as a system's name for it; null = it may. */
  readonly refusal: (address: string, port: number, service: ServiceKey) => string | null
}

/** How a dial ended. Exactly one call, in a later turn, unless it was cancelled. */
export interface DialUser {
  /** `transport` is paused, with the pool's socket options set. */
  onDialed(transport: Transport): void
  /** outcome: `connectTimeout` or `connectFailure`; reason: the system's name, `ECONNREFUSED`. */
  onDialFailed(outcome: Outcome, reason: string): void
}

/** Dials endpoints with the time-out of their policy. A failure is a fact handed to the user, never an exception. */
export class Dialer {
  private readonly deps: DialerDeps

  constructor(deps: DialerDeps) {
    this.deps = deps
  }

  /** service: whose endpoint the address is. */
  dial(address: string, port: number, service: ServiceKey, pool: ConnectionPoolSpec, user: DialUser): PendingDial {
    return new PendingDial(this.deps, address, port, service, pool, user)
  }

  /** Of a connection whose endpoint left; see `SocketOptions`. */
  watchClosely(transport: Transport, pool: ConnectionPoolSpec): void {
    this.deps.socketOptions.watchClosely(transport, pool)
  }
}

/** In a later turn, as the system does it. */
function refuse(callback: DialCallback, reason: string): Dial {
  const soon = setImmediate(callback, null, reason)
  return { cancel: () => clearImmediate(soon) }
}

export class PendingDial implements TimerOwner {
  private readonly deps: DialerDeps
  private readonly timer: Timer
  private readonly dial: Dial
  private user: DialUser | null

  constructor(
    deps: DialerDeps,
    address: string,
    port: number,
    service: ServiceKey,
    pool: ConnectionPoolSpec,
    user: DialUser,
  ) {
    this.deps = deps
    this.user = user
    this.timer = new Timer(this, 0)
    deps.wheel.arm(this.timer, deps.clock.now + pool.connectTimeoutMs)
    const onDialed: DialCallback = (transport, reason) => {
      const waiting = this.finish()
      if (waiting === null) {
        transport?.close()
        return
      }
      deps.clock.refresh()
      if (transport === null) {
        if (reason === 'ECONNREFUSED' || reason === notItsUser) deps.onRefused(address, port)
        waiting.onDialFailed(reason === 'ETIMEDOUT' ? Outcome.connectTimeout : Outcome.connectFailure, reason)
        return
      }
      deps.socketOptions.apply(transport, pool)
      waiting.onDialed(transport)
    }
    const refusal = deps.refusal(address, port, service)
    this.dial = refusal === null ? deps.transports.dial(address, port, onDialed) : refuse(onDialed, refusal)
  }

  onTimer(): void {
    const waiting = this.finish()
    this.dial.cancel()
    this.deps.clock.refresh()
    waiting?.onDialFailed(Outcome.connectTimeout, 'ETIMEDOUT')
  }

  cancel(): void {
    if (this.finish() !== null) this.dial.cancel()
  }

  private finish(): DialUser | null {
    const user = this.user
    this.user = null
    this.deps.wheel.drop(this.timer)
    return user
  }
}
