import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import { LocalReplies } from '../../../http1/local-reply.ts'
import type { Road } from '../forward/road.ts'

/** Answers a connection that is not served with 503 and ends it: what the caller sends meanwhile is thrown away, so that no reset destroys the answer. */
export class ShedReply implements TransportOwner, TimerOwner {
  private readonly road: Road
  private readonly transport: Transport
  private readonly timer: Timer
  private discarded = 0

  constructor(road: Road, transport: Transport) {
    this.road = road
    this.transport = transport
    this.timer = new Timer(this, 0)
    transport.owner = this
    const body = Buffer.from('E_CENTER_OVERLOAD  the center sheds requests of this host; try again later\n', 'latin1')
    const answer = {
      status: 503,
      code: 'E_CENTER_OVERLOAD',
      fields: [
        ['content-type', 'text/plain'],
        ['retry-after', '1'],
      ],
      body,
    } as const
    road.output.append(new LocalReplies(road.state.node.tier).format(answer, null, false, true, 1))
    transport.write(road.output)
    transport.end()
    transport.resumeReading()
    road.wheel.arm(this.timer, road.clock.now + road.state.limits.drainTimeoutMs)
  }

  onBytes(_bytes: Buffer, length: number): void {
    this.discarded += length
    if (this.discarded > this.road.state.limits.maxDrainBytes) this.close()
  }

  onEnd(): void {
    this.close()
  }

  onDrained(): void {}

  onClosed(): void {
    this.road.wheel.drop(this.timer)
  }

  onTimer(): void {
    this.close()
  }

  private close(): void {
    this.road.wheel.drop(this.timer)
    this.transport.close()
  }
}
