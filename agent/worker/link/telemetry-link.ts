/**
 * The worker's end of `contracts/telemetry.ts`: dialled while something is to be sent, and again with a pause when it
 * breaks. A control that does not read is not waited for: the next batch finds the one before it under way, and the
 * outbox drops what it has no room for.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

const redialMs = 1000

export class TelemetryLink {
  private readonly path: string
  private readonly now: () => number
  private socket: Socket | undefined
  private isConnected = false
  private notBefore = 0
  private readonly pending = new Set<() => void>()

  /** @param path of control's socket in the run directory. @param now monotonic ms. */
  constructor(path: string, now: () => number) {
    this.path = path
    this.now = now
  }

  /** See `OutboxDeps.send`. */
  send(bytes: Buffer, done: () => void): boolean {
    const { socket } = this
    if (socket === undefined || !this.isConnected) {
      this.dial()
      return false
    }
    this.pending.add(done)
    socket.write(bytes, () => this.finish(done))
    return true
  }

  private finish(done: () => void): void {
    if (this.pending.delete(done)) done()
  }

  private dial(): void {
    if (this.socket !== undefined || this.now() < this.notBefore) return
    const socket = connect({ path: this.path })
    this.socket = socket
    socket.unref()
    socket.on('connect', () => {
      this.isConnected = true
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.socket = undefined
      this.isConnected = false
      this.notBefore = this.now() + redialMs
      // what was under way is lost
      for (const done of this.pending) this.finish(done)
    })
  }

  /** Resolves when what was given is with the kernel, or after `ms`; the link is closed then. */
  async close(ms: number): Promise<void> {
    const { socket } = this
    if (socket === undefined) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      socket.end(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    socket.destroy()
  }
}
