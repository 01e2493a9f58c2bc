/**
 * What is still to be told to one connection. Changes of one subject are merged: at most one message per subject waits,
 * and it is made when it is sent, so that a slow reader gets the newest state and not a history. At most `maxUnacked`
 * messages are under way without an answer and at most `maxBytes` unread.
 */
import type { Clock } from '../../../../contracts/clock.ts'
import type { NacosLimits } from '../limits.ts'

export interface PushMessage {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

/** Makes the message at the moment of sending; undefined = there is nothing to say any more. */
export type MakePush = () => Promise<PushMessage | undefined>

export interface PushQueueDeps {
  readonly limits: Pick<NacosLimits, 'maxUnackedPushes' | 'maxPushBufferBytes'>
  readonly clock: Clock
  /** Sends with this `requestId`; answers the size in bytes. `onFlushed` comes when the bytes left us. */
  readonly send: (message: PushMessage, requestId: string, onFlushed: () => void) => number
  readonly onUnanswered: (subject: string) => void
  /** The reader took nothing for `stalledMs`: the connection is to be closed. */
  readonly onStalled: () => void
  /** How long the client may take to answer; ms. */
  readonly ackTimeoutMs: number
  readonly stalledMs: number
}

export class PushQueue {
  private readonly deps: PushQueueDeps
  private readonly pushes = new Map<string, MakePush>()
  private readonly underWay = new Map<string, { subject: string; cancel: () => void }>()
  private unreadBytes = 0
  private cancelStall: (() => void) | undefined
  private isPumping = false
  private isClosed = false
  private nextId = 0

  constructor(deps: PushQueueDeps) {
    this.deps = deps
  }

  /** Subjects that wait. */
  get waiting(): number {
    return this.pushes.size
  }

  get unacked(): number {
    return this.underWay.size
  }

  offer(subject: string, make: MakePush): void {
    if (this.isClosed) return
    this.pushes.set(subject, make)
    void this.pump()
  }

  /** Forgets what waits of a subject. */
  withdraw(subject: string): void {
    this.pushes.delete(subject)
  }

  /** The client answered. */
  acknowledge(requestId: string): void {
    const answered = this.underWay.get(requestId)
    if (answered === undefined) return
    answered.cancel()
    this.underWay.delete(requestId)
    void this.pump()
  }

  close(): void {
    this.isClosed = true
    this.pushes.clear()
    for (const { cancel } of this.underWay.values()) cancel()
    this.underWay.clear()
    this.cancelStall?.()
  }

  private async pump(): Promise<void> {
    if (this.isPumping) return
    this.isPumping = true
    try {
      while (this.hasRoom()) {
        const [next] = this.pushes
        if (next === undefined) break
        const [subject, make] = next
        this.pushes.delete(subject)
        const message = await make().catch(() => undefined)
        if (message !== undefined && !this.isClosed) this.send(subject, make, message)
      }
    } finally {
      this.isPumping = false
    }
  }

  private hasRoom(): boolean {
    const { maxUnackedPushes, maxPushBufferBytes } = this.deps.limits
    return !this.isClosed && this.underWay.size < maxUnackedPushes && this.unreadBytes < maxPushBufferBytes
  }

  private send(subject: string, make: MakePush, message: PushMessage): void {
    const { ackTimeoutMs, clock, onUnanswered } = this.deps
    const requestId = String(++this.nextId)
    const cancel = clock.after(ackTimeoutMs, () => {
      this.underWay.delete(requestId)
      onUnanswered(subject)
      if (!this.pushes.has(subject)) this.pushes.set(subject, make)
      void this.pump()
    })
    this.underWay.set(requestId, { subject, cancel })
    let bytes = 0
    let isFlushed = false
    bytes = this.deps.send(message, requestId, () => {
      isFlushed = true
      if (bytes === 0) return
      this.unreadBytes -= bytes
      this.watchReader()
      void this.pump()
    })
    if (isFlushed) return
    this.unreadBytes += bytes
    this.watchReader()
  }

  /** Each flush is progress; unread bytes without one for `stalledMs` are a stall. */
  private watchReader(): void {
    this.cancelStall?.()
    this.cancelStall = undefined
    if (this.unreadBytes === 0 || this.isClosed) return
    this.cancelStall = this.deps.clock.after(this.deps.stalledMs, this.deps.onStalled)
  }
}
