/** The ports that Gateways open on this host, with their virtual hosts and the services behind them. */
import type { Compiler } from '../../core/snapshot/compiler.ts'
import type { SnapshotStore } from '../../core/snapshot/store.ts'
import type { Rules } from '../../core/rules/types.ts'

/** For whom the services are in the snapshot. */
const user = 'gateways'

export class GatewayListeners {
  private readonly store: Pick<SnapshotStore, 'setListener' | 'setVirtualHost'>
  private readonly compiler: Pick<Compiler, 'lead'>
  private readonly rules: Pick<Rules, 'gateways'>
  private listeners: ReadonlySet<string> = new Set()
  private virtualHosts: ReadonlySet<string> = new Set()

  constructor(
    store: Pick<SnapshotStore, 'setListener' | 'setVirtualHost'>,
    compiler: Pick<Compiler, 'lead'>,
    rules: Pick<Rules, 'gateways'>,
  ) {
    this.store = store
    this.compiler = compiler
    this.rules = rules
  }

  /** The rules may say something else now. */
  apply(): void {
    const { listeners, services, virtualHosts } = this.rules.gateways()
    this.compiler.lead(user, services)
    const hosts = new Set(virtualHosts.map(({ name }) => name))
    const names = new Set(listeners.map(({ name }) => name))
    for (const spec of virtualHosts) this.store.setVirtualHost(spec.name, spec)
    for (const name of this.listeners) if (!names.has(name)) this.store.setListener(name, undefined)
    for (const spec of listeners) this.store.setListener(spec.name, spec)
    for (const name of this.virtualHosts) if (!hosts.has(name)) this.store.setVirtualHost(name, undefined)
    this.listeners = names
    this.virtualHosts = hosts
  }
}
