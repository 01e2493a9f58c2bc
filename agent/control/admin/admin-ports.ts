/**
 * The ports of control and who has them: only the leading generation answers. At a take-over the predecessor lets go a
 * moment later than the successor begins, so a taken port is tried again until it is free.
 */
import type { LocalCallers } from '../../../guard/local-callers.ts'
import type { Clock } from '../clock.ts'
import type { HostPort } from '../config/scalars.ts'
import { KeptPort } from '../kept-port.ts'
import type { Log } from '../log.ts'
import type { AdminContext } from './context.ts'
import { adminPages } from './pages.ts'
import type { AdminReply, AdminRequest } from './http.ts'
import { AdminServer, type AdminPort } from './server.ts'

export interface AdminPortsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly callers: LocalCallers
}

export class AdminPorts {
  private readonly context: AdminContext
  private readonly deps: AdminPortsDeps
  private readonly server: AdminServer
  private readonly kept: KeptPort[] = []
  private isOpen = false

  constructor(context: AdminContext, deps: AdminPortsDeps) {
    this.context = context
    this.deps = deps
    this.server = new AdminServer(adminPages(context), {
      ...deps,
      metrics: context.metrics,
      socketApis: context.socketApis,
    })
  }

  answer(request: AdminRequest): Promise<AdminReply> {
    return this.server.answer('admin', request)
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
      else {
        const kept = new KeptPort(`${port} port`, () => this.server.listen(port, address), this.deps)
        this.kept.push(kept)
        void kept.open()
      }
    }
  }

  /** Why a port does not answer. */
  faults(): string[] {
    return this.kept.flatMap(({ problem }) => problem ?? [])
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
    for (const kept of this.kept) kept.close()
    await this.server.close()
  }
}
