/** One client's gRPC connection: what it listens to, and the way back to it. */
import type { Clock } from '../../../../contracts/clock.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { Subscription } from '../../../../contracts/registry-adapter.ts'
import { encodePayload } from '../../wire/payload.ts'
import type { NacosLimits } from '../limits.ts'
import type { PushMessage } from './push-queue.ts'
import { PushQueue } from './push-queue.ts'

/** The sending half of the client's stream. */
export interface PushStream {
  write(bytes: Buffer, onFlushed: () => void): void
  end(): void
}

export interface ConnectionDeps {
  readonly id: string
  /** The user of this host at the other end; undefined = not known. */
  readonly uid: number | undefined
  readonly clock: Clock
  readonly limits: Pick<NacosLimits, 'maxUnackedPushes' | 'maxPushBufferBytes'>
  readonly ackTimeoutMs: number
  readonly stalledMs: number
  /** Cuts the connection below the protocol. */
  readonly destroy: () => void
  readonly onUnanswered: (subject: string) => void
  readonly onStalled: () => void
}

export class ClientConnection {
  readonly id: string
  readonly uid: number | undefined
  readonly pushes: PushQueue
  /** Called once, when it has become a client's. */
  onSetUp: () => void = () => {}
  /** Called with the size of each whole message. */
  onDelivered: (bytes: number) => void = () => {}
  /** Subscribed services. */
  readonly services = new Map<ServiceKey, Subscription>()
  /** Configuration documents listened to, by the words of the client. */
  readonly documents = new Map<string, Subscription>()
  private readonly deps: ConnectionDeps
  private stream: PushStream | undefined
  private detectionSentAt: number | undefined
  lastActiveAt: number

  constructor(deps: ConnectionDeps) {
    this.id = deps.id
    this.uid = deps.uid
    this.deps = deps
    this.lastActiveAt = deps.clock.monotonic()
    this.pushes = new PushQueue({
      limits: deps.limits,
      clock: deps.clock,
      ackTimeoutMs: deps.ackTimeoutMs,
      stalledMs: deps.stalledMs,
      onUnanswered: deps.onUnanswered,
      onStalled: () => {
        deps.onStalled()
        deps.destroy()
      },
      send: (message, requestId, onFlushed) => this.write(message, requestId, onFlushed),
    })
  }

  /** The client has sent its set-up message on this stream; before that its requests are refused. */
  setUp(stream: PushStream): void {
    this.stream = stream
    this.onSetUp()
  }

  get isSetUp(): boolean {
    return this.stream !== undefined
  }

  touch(): void {
    this.lastActiveAt = this.deps.clock.monotonic()
    this.detectionSentAt = undefined
  }

  /** A message that needs no answer and does not wait in the queue. */
  tell(type: string, body: Readonly<Record<string, unknown>>): void {
    this.write({ type, body: { module: 'internal', ...body } }, `${type}-${this.deps.clock.monotonic()}`, () => {})
  }

  /** Asks a silent client whether it is alive, and cuts it off when it stays silent. */
  detect(idleMs: number, answerMs: number): void {
    const now = this.deps.clock.monotonic()
    if (this.detectionSentAt !== undefined) {
      if (now - this.detectionSentAt >= answerMs) this.deps.destroy()
    } else if (now - this.lastActiveAt >= idleMs) {
      this.detectionSentAt = now
      if (this.isSetUp) this.tell('ClientDetectionRequest', {})
    }
  }

  destroy(): void {
    this.deps.destroy()
  }

  /** Ends the stream in order. */
  end(): void {
    this.stream?.end()
  }

  /** Forgets everything; the backend is told by who owns us. */
  close(): void {
    this.pushes.close()
    for (const subscription of this.services.values()) subscription.unsubscribe()
    for (const subscription of this.documents.values()) subscription.unsubscribe()
    this.services.clear()
    this.documents.clear()
    this.stream = undefined
  }

  private write(message: PushMessage, requestId: string, onFlushed: () => void): number {
    const body = Buffer.from(JSON.stringify({ headers: {}, requestId, ...message.body }))
    const bytes = encodePayload({ type: message.type, body })
    if (this.stream === undefined) onFlushed()
    else this.stream.write(bytes, onFlushed)
    return bytes.length
  }
}
