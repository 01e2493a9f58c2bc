/**
 * Endpoints of services for agents: what the registries of this center say, by their precedence and with the same
 * checks and protection as for a host. A service is subscribed at the registries while some agent wants it.
 */
import { endpointId, parseServiceName, serviceKey, type Endpoint, type ServiceKey } from '../../contracts/endpoint.ts'
import { EndpointDirectory } from '../../agent/control/core/endpoints/directory.ts'
import type { PartDeps } from '../../agent/control/leading-part.ts'
import { encodeAssignment } from '../../registry-adapters/center/wire/load-assignment.ts'
import { withUnhealthy, type UnhealthyInstances } from '../hosts/unhealthy-instances.ts'
import type { ResourceSource } from './resources.ts'

export interface EndpointSourceDeps extends PartDeps {
  readonly unhealthy: UnhealthyInstances
}

export class EndpointSource implements ResourceSource {
  private readonly directory: EndpointDirectory
  private readonly wanted = new Map<ServiceKey, (value: Buffer | undefined) => void>()
  private readonly deps: EndpointSourceDeps
  /** By service: how many of its instances are unhealthy and are not told so. */
  private readonly spared = new Map<ServiceKey, number>()

  constructor(deps: EndpointSourceDeps) {
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
      for (const key of this.wanted.keys()) this.tell(key)
    })
  }

  follow(name: string, onValue: (value: Buffer | undefined) => void): (() => void) | false {
    const service = parseServiceName(name)
    if (service === undefined || serviceKey(service) !== name) return false
    const key = name as ServiceKey
    this.wanted.set(key, onValue)
    this.directory.want(key, service)
    return () => {
      this.wanted.delete(key)
      this.spare(key, 0)
      this.directory.release(key)
    }
  }

  /** Of the services that some agent wants, each once. */
  instancesAt(addresses: ReadonlySet<string>): readonly { readonly address: string; readonly port: number }[] {
    const found = new Map<string, Endpoint>()
    for (const key of this.wanted.keys())
      for (const endpoint of this.directory.view(key)?.set?.endpoints ?? [])
        if (addresses.has(endpoint.address)) found.set(endpointId(endpoint), endpoint)
    return [...found.values()].map(({ address, port }) => ({ address, port }))
  }

  close(): void {
    this.directory.close()
  }

  /** Nothing before a registry has spoken: an agent goes on with what it knows. */
  private tell(key: ServiceKey): void {
    const view = this.directory.view(key)
    const onValue = this.wanted.get(key)
    if (onValue === undefined || view === undefined || (view.set === undefined && !view.isAnswered)) return
    const { endpoints = [], protectThreshold = 0 } = view.set ?? {}
    const { config, unhealthy } = this.deps
    const judged = withUnhealthy(endpoints, unhealthy, config.endpoints.protectShare)
    this.spare(key, judged.spared)
    onValue(encodeAssignment(key, { endpoints: judged.endpoints, protectThreshold }))
  }

  private spare(key: ServiceKey, count: number): void {
    if ((this.spared.get(key) ?? 0) === count) return
    if (count === 0) this.spared.delete(key)
    else this.spared.set(key, count)
    const all = [...this.spared.values()].reduce((sum, one) => sum + one, 0)
    this.deps.metrics.gauge('hosts_spared_instances', {}, all)
  }
}
