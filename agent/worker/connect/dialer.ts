import type { Endpoint, ServiceKey } from '../../../contracts/endpoint.ts'
import type { ConnectionPoolSpec, TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { Outcome } from '../balance/types.ts'
import type { Cluster, EndpointState } from '../balance/types.ts'
import type { Clock } from '../transport/clock.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { Identities } from '../transport/tls/identities.ts'
import type { ClientWish, Handshakes } from '../transport/tls/handshakes.ts'
import type { Dial, DialCallback, Transport, Transports } from '../transport/transport.ts'
import { notItsUser } from './dial-guard.ts'
import type { SocketOptions } from './socket-options.ts'
import { clientWish, isMutual } from './upstream-tls.ts'

export interface DialerDeps {
  readonly transports: Transports
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly socketOptions: SocketOptions
  readonly handshakes: Pick<Handshakes, 'call'>
  readonly identities: Pick<Identities, 'find'>
  /** The system refused a dial, or nobody listens there who may: the application is not there. */
  readonly onRefused: (address: string, port: number) => void
  /** Why no connection may be made there, as a system's name for it; null = it may. */
  readonly refusal: (address: string, port: number, service: ServiceKey, isRaw: boolean) => string | null
}

/** How a dial ended. Exactly one call, in a later turn, unless it was cancelled. */
export interface DialUser {
  /** `transport` is paused. The pool's socket options are set once this has returned, if not before. */
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

  /** What its policy says of TLS holds. */
  dial(state: EndpointState, cluster: DialledCluster, as: DialAs, user: DialUser): PendingDial {
    const { endpoint } = state
    const wish = clientWish(cluster.policy.tls, endpoint, this.hasIdentity, as.identity, as.protocols)
    return new PendingDial(this.deps, state, cluster, wish, as.isRaw === true, user)
  }

  /** Whether a connection there is the caller's alone, because it carries its identity. */
  isMutual(endpoint: Endpoint, { tls }: TrafficPolicySpec): boolean {
    return isMutual(tls, endpoint, this.hasIdentity)
  }

  private get hasIdentity(): boolean {
    return this.deps.identities.find(undefined) !== undefined
  }

  /** Of a connection whose endpoint left; see `SocketOptions`. */
  watchClosely(transport: Transport, pool: ConnectionPoolSpec): void {
    this.deps.socketOptions.watchClosely(transport, pool)
  }
}

export type DialledCluster = Pick<Cluster, 'policy' | 'service'>

/** Who calls, and what will be spoken. */
export interface DialAs {
  /** SPIFFE id of the calling application; undefined = the host's own. */
  readonly identity: string | undefined
  /** For ALPN; none = not spoken of. */
  readonly protocols: readonly string[]
  /** What passes has no messages that could say how often they passed. Absent = it may. */
  readonly isRaw?: true
}

/** In a later turn, as the system does it. */
function refuse(callback: DialCallback, reason: string): Dial {
  const soon = setImmediate(callback, null, reason)
  return { cancel: () => clearImmediate(soon) }
}

export class PendingDial implements TimerOwner {
  private readonly deps: DialerDeps
  private readonly timer: Timer
  private dial: { cancel(): void }
  private user: DialUser | null

  constructor(
    deps: DialerDeps,
    { address, port }: EndpointState,
    { policy: { pool }, service }: DialledCluster,
    wish: ClientWish | null,
    isRaw: boolean,
    user: DialUser,
  ) {
    this.deps = deps
    this.user = user
    this.timer = new Timer(this, 0)
    deps.wheel.arm(this.timer, deps.clock.now + pool.connectTimeoutMs)
    const onDialed: DialCallback = (transport, reason) => {
      if (transport !== null && wish !== null && this.user !== null) {
        deps.socketOptions.apply(transport, pool)
        this.dial = deps.handshakes.call(transport, wish, {
          onSecure: (secure) => this.finish()?.onDialed(secure),
          onInsecure: (why) => this.finish()?.onDialFailed(Outcome.connectFailure, `TLS ${why}`),
        })
        return
      }
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
      waiting.onDialed(transport)
      // behind the request that waited: they are for a peer that does not answer
      if (!transport.isClosed) deps.socketOptions.apply(transport, pool)
    }
    const refusal = deps.refusal(address, port, service, isRaw)
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
