/** Routes and policies of a control plane as Istio's resources, of the services that are in use here. */
import { createHash } from 'node:crypto'
import { serviceKey, type ServiceKey, type ServiceName } from '../../contracts/endpoint.ts'
import type { RuleCollection, RuleFeed, Subscription } from '../../contracts/registry-adapter.ts'
import type { Catalog } from './catalog.ts'
import { hostOf, serviceOf, type Place } from './names.ts'
import type { Listener } from './translate/listener.ts'

const apiVersion = 'networking.istio.io/v1'

export class XdsRules implements RuleFeed {
  private readonly place: Place
  private readonly catalog: Catalog
  private readonly listeners = new Set<(collections: readonly RuleCollection[]) => void>()
  private wanted: ReadonlySet<ServiceKey> = new Set()
  private isReady = false
  private soon: NodeJS.Immediate | undefined

  constructor(place: Place, catalog: Catalog) {
    this.place = place
    this.catalog = catalog
  }

  watch(listener: (collections: readonly RuleCollection[]) => void): Subscription {
    const own = (collections: readonly RuleCollection[]): void => listener(collections)
    this.listeners.add(own)
    this.tellSoon()
    return { unsubscribe: () => void this.listeners.delete(own) }
  }

  want(services: readonly ServiceName[]): void {
    this.wanted = new Set(services.map(serviceKey))
    this.tellSoon()
  }

  /** The catalog has changed, and holds all that its listeners name, or will not. */
  changed(): void {
    this.isReady = true
    this.tellSoon()
  }

  close(): void {
    this.listeners.clear()
    if (this.soon !== undefined) clearImmediate(this.soon)
  }

  /** Nothing before the first word: what was in force before stays. */
  private tellSoon(): void {
    if (!this.isReady) return
    this.soon ??= setImmediate(() => {
      this.soon = undefined
      const collections = [...this.virtualServices(), ...this.destinationRules()]
      for (const listener of this.listeners) listener(collections)
    })
  }

  private *destinationRules(): Generator<RuleCollection> {
    for (const service of this.wanted) {
      const cluster = this.catalog.cluster(service)
      if (cluster?.policy === undefined) continue
      yield resource('DestinationRule', cluster.name, { host: service, trafficPolicy: cluster.policy })
    }
  }

  private *virtualServices(): Generator<RuleCollection> {
    /** A host of two listeners is that of the first one by name. */
    const taken = new Set<string>()
    const free = (hosts: readonly string[]): string[] => hosts.filter((host) => !taken.has(host) && taken.add(host))
    const sorted = this.catalog.listeners().sort((one, other) => (one.name < other.name ? -1 : 1))
    for (const listener of sorted) {
      for (const { domains, http, name } of this.hostsOf(listener)) {
        const hosts = free(domains.flatMap((domain) => hostOf(domain, listener.name, this.place) ?? []))
        if (http.length > 0 && hosts.some((host) => this.isWanted(host)))
          yield resource('VirtualService', `${listener.name}/${name}`, { hosts, http })
      }
      const own = serviceOf(listener.name, this.place)
      if (listener.tcp === undefined || own === undefined || !this.isWanted(own)) continue
      if (free([own]).length > 0)
        yield resource('VirtualService', `${listener.name}/tcp`, { hosts: [own], tcp: [{ route: listener.tcp }] })
    }
  }

  private hostsOf({ routes, virtualHosts }: Listener): Listener['virtualHosts'] {
    return [...virtualHosts, ...routes.flatMap((name) => this.catalog.routes(name) ?? [])]
  }

  /** What is no key of a service may be about any. */
  private isWanted(host: string): boolean {
    return !host.includes('@@') || this.wanted.has(host as ServiceKey)
  }
}

function resource(kind: string, name: string, spec: object): RuleCollection {
  const mark = createHash('sha1').update(name).digest('hex').slice(0, 8)
  const plain = name.replaceAll(/[^A-Za-z0-9.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  const metadata = { name: `${plain.slice(0, 200)}-${mark}` }
  return { name: `${kind} ${name}`, text: JSON.stringify({ apiVersion, kind, metadata, spec }) }
}
