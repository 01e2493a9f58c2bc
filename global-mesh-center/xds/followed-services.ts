/**
 * Instances of services: what the registries of this center say, by their precedence and with the same checks and
 * protection as for a host. A service is subscribed at the registries while somebody follows it here.
 */
import { endpointId, type Endpoint, type ServiceKey, type ServiceName } from '../../contracts/endpoint.ts'
import { EndpointDirectory } from '../../agent/control/core/endpoints/directory.ts'
import type { PartDeps } from '../../agent/control/leading-part.ts'
import { withUnhealthy, type UnhealthyInstances } from '../hosts/unhealthy-instances.ts'

export interface FollowedServicesDeps extends PartDeps {
  readonly unhealthy: UnhealthyInstances
}

export interface Instances {
  readonly endpoints: readonly Endpoint[]
  readonly protectThreshold: number
}

type Listener = (now: Instances) => void

export class FollowedServices {
  private readonly directory: EndpointDirectory
  private readonly followed = new Map<ServiceKey, Set<Listener>>()
  private readonly deps: FollowedServicesDeps
  /** By service: how many of its instances are unhealthy and are not told so. */
  private readonly spared = new Map<ServiceKey, number>()

  constructor(deps: FollowedServicesDeps) {
    this.deps = deps
    const { config, control, clock, log, metrics, unhealthy } = deps
    const { endpoints } = config
    this.directory = new EndpointDirectory({
      adapters: control.deps.adapters,
      rules: {
        allowLoopback: endpoints.allowLoopbackEndpoints,
        maxPerService: endpoints.maxPerService,
        isOwnListener: (address, port) => control.host.listeners.isOwn(address, port),
      },
      staleAfterMs: endpoints.staleAfter,
      protect: { share: endpoints.protectShare, confirmAfterMs: endpoints.confirmAfter },
      clock,
      log,
      metrics,
      timeline: control.timeline,
      onChange: ({ service }) => this.tell(service),
      onSame: () => undefined,
      onAnswered: (service) => this.tell(service),
    })
    unhealthy.onChange(() => {
      for (const key of this.followed.keys()) this.tell(key)
    })
  }

  /** Heard with each change, and once what is known already; never before this returns. */
  follow(key: ServiceKey, name: ServiceName, listener: Listener): () => void {
    const present = this.followed.get(key)
    if (present !== undefined) {
      present.add(listener)
      setImmediate(() => {
        if (present.has(listener)) this.tellOne(key, listener)
      })
      return () => this.leave(key, listener)
    }
    this.followed.set(key, new Set([listener]))
    this.directory.want(key, name)
    return () => this.leave(key, listener)
  }

  /** Of the services that are followed, each once. */
  instancesAt(addresses: ReadonlySet<string>): readonly { readonly address: string; readonly port: number }[] {
    const found = new Map<string, Endpoint>()
    for (const key of this.followed.keys())
      for (const endpoint of this.directory.view(key)?.set?.endpoints ?? [])
        if (addresses.has(endpoint.address)) found.set(endpointId(endpoint), endpoint)
    return [...found.values()].map(({ address, port }) => ({ address, port }))
  }

  close(): void {
    this.directory.close()
  }

  private leave(key: ServiceKey, listener: Listener): void {
    const listeners = this.followed.get(key)
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return
    this.followed.delete(key)
    this.spare(key, 0)
    this.directory.release(key)
  }

  private tell(key: ServiceKey): void {
    const now = this.now(key)
    if (now !== undefined) for (const listener of this.followed.get(key) ?? []) listener(now)
  }

  private tellOne(key: ServiceKey, listener: Listener): void {
    const now = this.now(key)
    if (now !== undefined) listener(now)
  }

  /** Nothing before a registry has spoken: whoever asks goes on with what it knows. */
  private now(key: ServiceKey): Instances | undefined {
    const view = this.directory.view(key)
    if (view === undefined || (view.set === undefined && !view.isAnswered)) return undefined
    const { endpoints = [], protectThreshold = 0 } = view.set ?? {}
    const { config, unhealthy } = this.deps
    const judged = withUnhealthy(endpoints, unhealthy, config.endpoints.protectShare)
    this.spare(key, judged.spared)
    return { endpoints: judged.endpoints, protectThreshold }
  }

  private spare(key: ServiceKey, count: number): void {
    if ((this.spared.get(key) ?? 0) === count) return
    if (count === 0) this.spared.delete(key)
    else this.spared.set(key, count)
    const all = [...this.spared.values()].reduce((sum, one) => sum + one, 0)
    this.deps.metrics.gauge('hosts_spared_instances', {}, all)
  }
}
