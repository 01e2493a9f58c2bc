/**
 * Services with a localhost port of their own: those of `agent.yaml`, and those that somebody on the host (the Nacos
 * face) asks for while it runs.
 *
 * Each leads to the virtual host that decides about it: its own, or that of a wildcard rule, which can change at any
 * time.
 */
import { serviceKey, type ServiceKey } from '../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { OutboundService } from '../../config/types.ts'
import type { Compiler } from '../../core/snapshot/compiler.ts'
import type { OpenService } from '../../core/snapshot/last-run.ts'
import type { Listeners } from './listeners.ts'

export interface OutboundServicesDeps {
  readonly compiler: Compiler
  readonly listeners: Listeners
  /** The virtual host that decides about a service. */
  hostOf(key: ServiceKey): ServiceKey
}

interface Open {
  protocol: AppProtocol
  /** Pinned by configuration. */
  port: number | undefined
  virtualHost: ServiceKey
  isConfigured: boolean
  readonly reasons: Set<string>
}

export class OutboundServices {
  private readonly deps: OutboundServicesDeps
  private readonly services = new Map<ServiceKey, Open>()

  constructor(deps: OutboundServicesDeps) {
    this.deps = deps
  }

  /** The configured services, whole. */
  configure(services: readonly OutboundService[]): void {
    const wanted = new Map(services.map((one) => [serviceKey(one.service), one]))
    for (const [key, open] of this.services) {
      if (!open.isConfigured || wanted.has(key)) continue
      open.isConfigured = false
      this.deps.compiler.setProtocol(key, undefined)
      this.closeUnused(key, open)
    }
    // pinned ports first: they have the better right
    const ordered = [...wanted].toSorted(([, a], [, b]) => Number(b.port !== undefined) - Number(a.port !== undefined))
    for (const [key, { protocol, port }] of ordered) {
      const open = this.openOf(key, protocol)
      open.isConfigured = true
      open.protocol = protocol
      open.port = port
      this.deps.compiler.setProtocol(key, protocol)
      this.listen(key, open)
    }
  }

  /** The localhost port of a service for as long as the reason stands; undefined when it could not be given one. */
  open(key: ServiceKey, protocol: AppProtocol, reason: string): number | undefined {
    const open = this.openOf(key, protocol)
    open.reasons.add(reason)
    return this.deps.listeners.servicePort(key) ?? this.listen(key, open)
  }

  /**
   * Ports of the last run that no configuration names: somebody on the host was told of them, calls them, and will ask
   * again. They stay open until the function that is answered is called; whoever asked by then keeps his.
   */
  reopen(services: readonly OpenService[]): () => void {
    const reopened = services.filter(({ key }) => this.services.get(key)?.isConfigured !== true)
    for (const { key, protocol } of reopened) this.open(key, protocol, lastRunReason)
    return () => {
      for (const { key } of reopened) this.close(key, lastRunReason)
    }
  }

  close(key: ServiceKey, reason: string): void {
    const open = this.services.get(key)
    if (open?.reasons.delete(reason) === true) this.closeUnused(key, open)
  }

  /** Rules changed: another virtual host may decide now. */
  rulesChanged(): void {
    for (const [key, open] of this.services) {
      const virtualHost = this.deps.hostOf(key)
      if (virtualHost === open.virtualHost) continue
      const before = open.virtualHost
      open.virtualHost = virtualHost
      this.listen(key, open)
      this.deps.compiler.drop(before, reasonOf(key))
    }
  }

  private openOf(key: ServiceKey, protocol: AppProtocol): Open {
    const present = this.services.get(key)
    if (present !== undefined) return present
    const open: Open = {
      protocol,
      port: undefined,
      virtualHost: this.deps.hostOf(key),
      isConfigured: false,
      reasons: new Set(),
    }
    this.services.set(key, open)
    return open
  }

  private listen(key: ServiceKey, open: Open): number | undefined {
    this.deps.compiler.need(open.virtualHost, reasonOf(key))
    return this.deps.listeners.addService(key, open.virtualHost, open.protocol, open.port)
  }

  private closeUnused(key: ServiceKey, open: Open): void {
    if (open.isConfigured || open.reasons.size > 0) return
    this.services.delete(key)
    this.deps.listeners.removeService(key)
    this.deps.compiler.drop(open.virtualHost, reasonOf(key))
  }
}

const lastRunReason = 'last run'

const reasonOf = (key: ServiceKey): string => `listener ${key}`
