/**
 * The ports of control and who has them: only the leading generation answers. At a take-over the predecessor lets go a
 * moment later than the successor begins, so a taken port is tried again until it is free.
 */
import { MeshError, describeError } from '../../../contracts/errors.ts'
import type { LocalCallers } from '../../../guard/local-callers.ts'
import type { Clock } from '../clock.ts'
import type { HostPort } from '../config/scalars.ts'
import type { Log } from '../log.ts'
import type { AdminContext } from './context.ts'
import { adminPages } from './pages.ts'
import { AdminServer, type AdminPort } from './server.ts'

export interface AdminPortsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly callers: LocalCallers
}

/** First pauses are short because a predecessor is about to let go; after that somebody else has the port. */
const retryFirstMs = 50
const retryMaxMs = 5000

export class AdminPorts {
  private readonly context: AdminContext
  private readonly deps: AdminPortsDeps
  private readonly server: AdminServer
  private readonly problems = new Map<string, string>()
  private readonly cancels = new Set<() => void>()
  private isOpen = false

  constructor(context: AdminContext, deps: AdminPortsDeps) {
    this.context = context
    this.deps = deps
    this.server = new AdminServer(adminPages(context), { ...deps, metrics: context.metrics })
  }

  /**
   * Opens the socket and all ports. With `isStrict` a taken port rejects with E_LISTEN_IN_USE; otherwise traffic is
   * worth more than an admin port: it is a fault that `/ready` shows, and is tried again.
   */
  async open(isStrict: boolean): Promise<void> {
    if (this.isOpen) return
    this.isOpen = true
    const { config } = this.context.control
    await this.server.listenSocket(config.admin.socket)
    const ports: [AdminPort, HostPort | 'off' | undefined][] = [
      ['admin', config.admin.address],
      ['metrics', config.metrics.address],
      ['readiness', config.readiness.address],
      ['api', config.api?.address],
    ]
    for (const [port, address] of ports) {
      if (address === undefined || address === 'off') continue
      if (isStrict) await this.server.listen(port, address)
      else void this.keepTrying(port, address, retryFirstMs)
    }
  }

  /** Why a port does not answer. */
  faults(): string[] {
    return [...this.problems.values()]
  }

  /**
   * Another generation answers from now on. The counters that this one kept for dead workers go to it through the state
   * directory, which was written before.
   */
  async retire(): Promise<void> {
    this.server.leaveSocket()
    await this.close()
  }

  async close(): Promise<void> {
    for (const cancel of this.cancels) cancel()
    this.cancels.clear()
    await this.server.close()
  }

  private async keepTrying(port: AdminPort, address: HostPort, pauseMs: number): Promise<void> {
    try {
      await this.server.listen(port, address)
      this.problems.delete(port)
    } catch (error) {
      // a short fault is a predecessor that is about to leave; it is not worth a line
      if (pauseMs > retryFirstMs * 16 && !this.problems.has(port)) {
        const text = `${port} port: ${describeError(error)}; tried again, traffic is not touched`
        this.problems.set(port, text)
        this.deps.log.error({ code: error instanceof MeshError ? error.code : 'E_INTERNAL' }, text)
      }
      const cancel = this.deps.clock.after(pauseMs, () => {
        this.cancels.delete(cancel)
        void this.keepTrying(port, address, Math.min(retryMaxMs, pauseMs * 2))
      })
      this.cancels.add(cancel)
    }
  }
}
