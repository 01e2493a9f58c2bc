/** Keeps a stream to a socket of the run directory: dials, and dials again whenever it is lost, until closed. */
import { join } from 'node:path'
import { MeshError } from '../contracts/errors.ts'
import { maxHandoffFrameBytes } from '../contracts/handoff.ts'
import { runFiles } from '../contracts/run-directory.ts'
import type { Native } from './descriptors.ts'
import { dialFrames } from './frame-stream.ts'
import type { FrameStream } from './frame-stream.ts'

/** Pause before the first and the last dial of a row, ms. */
const firstPauseMs = 50
const lastPauseMs = 1000

/** Dials of a process that a watchdog has started, before it gives up: some 27 s, for a watchdog may be replaced. */
export const joinTries = 30

/** How long a hello may go without an answer. */
export const welcomeTimeoutMs = 5000

/**
 * What came of the first hello: nobody has the socket, the other side said welcome, or nothing in time (the link stays,
 * and a later answer is heard).
 */
export type Joined = 'alone' | 'welcome' | 'silent'

export interface DialedLinkHooks {
  /** A fresh stream: say hello. */
  onOpen(stream: FrameStream): void
  onMessage(message: Readonly<Record<string, unknown>>, stream: FrameStream): void
  onLost(): void
}

export class DialedLink {
  private readonly path: string
  private readonly native: Native | undefined
  private readonly hooks: DialedLinkHooks
  private stream: FrameStream | undefined
  private timer: NodeJS.Timeout | undefined
  private pauseMs = firstPauseMs
  private isClosed = false
  private readonly greeting = Promise.withResolvers<'welcome'>()

  constructor(path: string, native: Native | undefined, hooks: DialedLinkHooks) {
    this.path = path
    this.native = native
    this.hooks = hooks
  }

  /**
   * Dials up to `tries` times, says hello (`onOpen`) and waits until the owner has heard the answer and calls `welcome`
   * or `refuse`. Rejects with what `refuse` was given.
   */
  async join(tries: number): Promise<Joined> {
    const { promise: answered } = this.greeting
    answered.catch(() => {})
    for (let dials = 1; !(await this.dial()); dials++) {
      if (dials >= tries || this.isClosed) return 'alone'
      await new Promise((resolve) => setTimeout(resolve, this.nextPause()))
    }
    const silence = Promise.withResolvers<'silent'>()
    const timer = setTimeout(silence.resolve, welcomeTimeoutMs, 'silent')
    try {
      return await Promise.race([answered, silence.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** The other side takes us. */
  welcome(): void {
    this.greeting.resolve('welcome')
  }

  /** The other side does not want us. */
  refuse(error: Error): void {
    this.greeting.reject(error)
  }

  /** One dial; false when nobody answers. The link then rests until `redial`. */
  async dial(): Promise<boolean> {
    try {
      let isLost = false
      const stream = await dialFrames(this.path, maxHandoffFrameBytes, this.native, {
        onMessage: (message) => {
          if (this.stream !== undefined) this.hooks.onMessage(message, this.stream)
        },
        onClose: () => {
          isLost = true
          if (this.stream === undefined) return
          this.stream = undefined
          this.hooks.onLost()
          this.redial()
        },
      })
      if (this.isClosed || isLost) {
        stream.close()
        return false
      }
      this.stream = stream
      this.pauseMs = firstPauseMs
      this.hooks.onOpen(stream)
      return true
    } catch {
      return false
    }
  }

  redial(): void {
    if (this.isClosed) return
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      void this.dial().then((isOpen) => {
        if (!isOpen) this.redial()
      })
    }, this.nextPause())
  }

  private nextPause(): number {
    const { pauseMs } = this
    this.pauseMs = Math.min(lastPauseMs, pauseMs * 2)
    return pauseMs
  }

  send(message: object): void {
    this.stream?.send(message)
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    this.stream?.end()
    this.stream = undefined
  }
}

/** To a process that a watchdog has started, and that must not go on without one. */
export function nobodyAnswers(runDir: string): MeshError {
  const path = join(runDir, runFiles.watchdog)
  return new MeshError('E_HANDOFF_TIMEOUT', `${path}: no watchdog answers, and this process is not started alone`)
}
