/**
 * The way to one other worker that takes connections, a successor or a neighbour of the same generation: greeting,
 * batches of connections with their acknowledgements, farewell.
 *
 * A lost or silent worker is dialed again, at most every 250 ms; one that refuses is not. Batches without an
 * acknowledgement fail with the stream, so whoever sent them has them back.
 */
import { join } from 'node:path'
import { describeError } from '../../../contracts/errors.ts'
import { handoffVersion, maxDescriptorsPerBatch, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import type { MovedItem, SuccessorName, SuccessorToPredecessor } from '../../../contracts/handoff.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { BatchSender } from '../../../native/batch-sender.ts'
import type { BatchOutcome } from '../../../native/batch-sender.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import { dialFrames } from '../../../native/frame-stream.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'

const redialMs = 250
/** For a greeting, for a farewell, and for the last acknowledgements after the deadline. */
export const answerTimeoutMs = 2000

export interface WorkerLinkHooks {
  /** It takes connections from now on. */
  onOpen(): void
  /** It does not take any for now, or, when `isRefused`, ever. */
  onLost(reason: string): void
}

export interface WorkerLinkDeps {
  readonly runDir: string
  /** Who calls. */
  readonly generation: number
  readonly index: number
  /** It goes on serving beside whom it gives to. */
  readonly isNeighbour?: boolean
  readonly native: Native
  readonly port: DescriptorPort
}

interface Dial {
  stream: FrameStream | undefined
  readonly timer: NodeJS.Timeout
  isOver: boolean
}

export class WorkerLink {
  isRefused = false
  /** Sent and not settled. */
  batchesOut = 0
  private readonly deps: WorkerLinkDeps
  private readonly name: SuccessorName
  private readonly hooks: WorkerLinkHooks
  private stream: FrameStream | undefined
  private takesAhead = false
  private sender: BatchSender | undefined
  private dialing: Dial | undefined
  private nextDialAt = 0
  private farewell: (() => void) | undefined
  private readonly refusals = new Map<number, readonly number[]>()

  constructor(deps: WorkerLinkDeps, name: SuccessorName, hooks: WorkerLinkHooks) {
    this.deps = deps
    this.name = name
    this.hooks = hooks
  }

  get isOpen(): boolean {
    return this.stream !== undefined && this.farewell === undefined
  }

  /** Dials unless it is open, under way, refused, or too early. `now`: monotonic ms. */
  dial(now: number): void {
    if (this.stream !== undefined || this.dialing !== undefined || this.isRefused || now < this.nextDialAt) return
    this.nextDialAt = now + redialMs
    const { deps, name } = this
    const dial: Dial = {
      stream: undefined,
      timer: setTimeout(() => {
        dial.stream?.close()
        this.lost(dial, `no answer in ${answerTimeoutMs} ms`)
      }, answerTimeoutMs),
      isOver: false,
    }
    this.dialing = dial
    const path = join(deps.runDir, runFiles.workerTakeover(name.generation, name.index))
    dialFrames(path, maxHandoffFrameBytes, deps.native, {
      onMessage: (message) => this.receive(dial, message as unknown as SuccessorToPredecessor),
      onClose: (error) => this.lost(dial, error?.message ?? 'closed'),
    }).then(
      (stream) => {
        if (dial.isOver) {
          stream.close()
          return undefined
        }
        dial.stream = stream
        const { generation, index, isNeighbour } = deps
        const hello = { type: 'hello', link: handoffVersion, generation, index, pid: process.pid } as const
        stream.send(isNeighbour === true ? { ...hello, isNeighbour } : hello)
        return undefined
      },
      (error: unknown) => this.lost(dial, describeError(error)),
    )
  }

  /** One named part of state. */
  tell(part: string, body: unknown): void {
    this.stream?.send({ type: 'state', part, body })
  }

  /**
   * Resolves with the positions that the successor refused, or undefined when it did not take the batch at all. The
   * descriptors stay the caller's.
   */
  async send(items: readonly MovedItem[], descriptors: readonly number[]): Promise<readonly number[] | undefined> {
    const { sender, stream } = this
    if (sender === undefined || stream === undefined) return undefined
    const last = Math.max(0, descriptors.length - maxDescriptorsPerBatch)
    if (last > 0 && !this.takesAhead) return items.map((_, position) => position)
    this.batchesOut++
    let number = -1
    const ahead: Promise<BatchOutcome>[] = []
    for (let at = 0; at < last; at += maxDescriptorsPerBatch) {
      const some = descriptors.slice(at, Math.min(last, at + maxDescriptorsPerBatch))
      ahead.push(sender.send(some, (batch) => stream.send({ type: 'ahead', batch })))
    }
    const outcome = await sender.send(descriptors.slice(last), (batch) => {
      number = batch
      stream.send({ type: 'connections', batch, items })
    })
    await Promise.all(ahead)
    this.batchesOut--
    if (outcome !== 'received') return undefined
    const refused = this.refusals.get(number) ?? []
    this.refusals.delete(number)
    return refused
  }

  /**
   * The last bytes must leave this process before it does: resolves when the successor has read everything and closed,
   * or after 2 s.
   */
  leave(): Promise<void> {
    this.isRefused = true
    const { dialing, stream } = this
    if (stream === undefined) {
      if (dialing !== undefined) this.end(dialing)
      dialing?.stream?.close()
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        stream.close()
        resolve()
      }, answerTimeoutMs)
      this.farewell = () => {
        clearTimeout(timer)
        resolve()
      }
      stream.send({ type: 'done' })
      stream.end()
    })
  }

  private receive(dial: Dial, message: SuccessorToPredecessor): void {
    switch (message.type) {
      case 'welcome': {
        clearTimeout(dial.timer)
        const { deps, name } = this
        this.sender = new BatchSender(
          deps.port,
          join(deps.runDir, runFiles.workerDescriptors(name.generation, name.index)),
        )
        this.stream = dial.stream
        this.takesAhead = message.takesAhead === true
        this.hooks.onOpen()
        return
      }
      case 'refused':
        this.isRefused = true
        dial.stream?.close()
        this.lost(dial, message.message)
        return
      case 'taken':
        if (message.refused.length > 0) this.refusals.set(message.batch, message.refused)
        this.sender?.acknowledge(message.batch)
    }
  }

  private lost(dial: Dial, reason: string): void {
    if (dial.isOver) return
    this.end(dial)
    this.stream = undefined
    this.sender?.close()
    this.sender = undefined
    if (this.farewell === undefined) this.hooks.onLost(reason)
    else this.farewell()
  }

  private end(dial: Dial): void {
    dial.isOver = true
    clearTimeout(dial.timer)
    this.dialing = undefined
  }
}
