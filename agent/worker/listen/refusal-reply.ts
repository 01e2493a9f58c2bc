import type { ErrorCode } from '../../../contracts/errors.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import type { Tier } from '../../../contracts/words.ts'
import type { Clock } from '../transport/clock.ts'
import type { Output } from '../transport/output.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import { LocalReplies } from '../../../http1/local-reply.ts'
import type { LocalAnswer } from '../../../http1/local-reply.ts'

export interface RefusalReplyDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly output: Output
  readonly tier: () => Tier
  readonly limits: () => LimitsSpec
}

export const overloadAnswer: LocalAnswer = unavailable(
  'E_CENTER_OVERLOAD',
  'the center sheds requests of this host; try again later',
)
export const notReadyAnswer: LocalAnswer = unavailable(
  'E_CENTER_NOT_READY',
  'the center has not heard of this service from its registries yet',
)
export const unknownAnswer: LocalAnswer = unavailable(
  'E_ROUTE_UNKNOWN_SERVICE',
  'the service is known to no registry and no rule of the center',
)

function unavailable(code: ErrorCode, text: string): LocalAnswer {
  return refusal({ status: 503, code, text }, [['retry-after', '1']])
}

export function refusal(
  { code, status, text }: { readonly status: number; readonly code: ErrorCode; readonly text: string },
  more: LocalAnswer['fields'] = [],
): LocalAnswer {
  const fields = [['content-type', 'text/plain'] as const, ...more]
  return { status, code, fields, body: Buffer.from(`${code}  ${text}\n`, 'latin1') }
}

/**
 * Answers a connection that is not served, in HTTP or in bytes of its own protocol, and ends it: what the caller sends
 * meanwhile is thrown away, so that no reset destroys the answer. Bounds: `drainTimeoutMs` and `maxDrainBytes`; until
 * then it is a connection as every other, and is counted.
 */
export class RefusalReply implements TransportOwner, TimerOwner {
  private readonly deps: RefusalReplyDeps
  private readonly transport: Transport
  private readonly onOver: () => void
  private readonly timer: Timer
  private discarded = 0

  /** `onOver`: called once, when the connection is closed. */
  constructor(deps: RefusalReplyDeps, transport: Transport, answer: LocalAnswer | Buffer, onOver: () => void) {
    this.deps = deps
    this.transport = transport
    this.onOver = onOver
    this.timer = new Timer(this, 0)
    if (transport.isClosed) {
      onOver()
      return
    }
    transport.owner = this
    const bytes = Buffer.isBuffer(answer) ? answer : new LocalReplies(deps.tier()).format(answer, null, false, true, 1)
    deps.output.append(bytes)
    transport.write(deps.output)
    transport.end()
    transport.resumeReading()
    deps.wheel.arm(this.timer, deps.clock.now + deps.limits().drainTimeoutMs)
  }

  onBytes(_bytes: Buffer, length: number): void {
    this.discarded += length
    if (this.discarded > this.deps.limits().maxDrainBytes) this.close()
  }

  onEnd(): void {
    this.close()
  }

  onDrained(): void {}

  onClosed(): void {
    this.deps.wheel.drop(this.timer)
    this.onOver()
  }

  onTimer(): void {
    this.close()
  }

  private close(): void {
    this.transport.close()
    this.onClosed()
  }
}
