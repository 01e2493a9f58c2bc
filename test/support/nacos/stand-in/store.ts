/** What a stand-in server knows: services with instances, documents. Tells who listens. */
import { createHash } from 'node:crypto'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { WireInstance } from '../../../../registry-adapters/nacos/wire/instance.ts'
import type { WireServiceInfo } from '../../../../registry-adapters/nacos/wire/messages.ts'

export interface StandInDocument {
  readonly content: string
  readonly md5: string
  readonly lastModified: number
}

export class StandInStore {
  private readonly services = new Map<string, Map<string, WireInstance>>()
  private readonly documents = new Map<string, StandInDocument>()
  onService: (service: ServiceName) => void = () => undefined
  onDocument: (tenant: string, group: string, dataId: string) => void = () => undefined
  /** Added to the clock of service views: a server whose clock is wrong. */
  clockSkewMs = 0
  private readonly spoiled = new Set<string>()

  /** Answers and pushes nonsense about this service until its list is set again. */
  spoil(service: ServiceName): void {
    this.spoiled.add(keyOf(service))
    this.onService(service)
  }

  /** Replaces the list and tells subscribers. */
  setHosts(service: ServiceName, hosts: readonly Partial<WireInstance>[]): void {
    this.spoiled.delete(keyOf(service))
    this.services.set(keyOf(service), new Map(hosts.map((host) => [`${host.ip}:${host.port}`, wireInstance(host)])))
    this.onService(service)
  }

  putInstance(service: ServiceName, instance: WireInstance): void {
    const hosts = this.services.get(keyOf(service)) ?? new Map<string, WireInstance>()
    this.services.set(keyOf(service), hosts)
    hosts.set(`${instance.ip}:${instance.port}`, instance)
    this.onService(service)
  }

  hasInstance(service: ServiceName, ip: string, port: number): boolean {
    return this.services.get(keyOf(service))?.has(`${ip}:${port}`) === true
  }

  removeInstance(service: ServiceName, ip: string, port: number): void {
    if (this.services.get(keyOf(service))?.delete(`${ip}:${port}`) === true) this.onService(service)
  }

  /** Forgets every instance, as a restarted server does; tells nobody. */
  forgetInstances(): void {
    this.services.clear()
  }

  /** All instances, disabled ones too. */
  instances(service: ServiceName): readonly WireInstance[] {
    return [...(this.services.get(keyOf(service))?.values() ?? [])]
  }

  info(service: ServiceName): WireServiceInfo {
    return {
      name: service.name,
      groupName: service.group,
      clusters: '',
      cacheMillis: 10_000,
      // servers leave disabled instances out
      hosts: this.spoiled.has(keyOf(service))
        ? ({ nonsense: true } as unknown as [])
        : this.instances(service).filter(({ enabled }) => enabled),
      lastRefTime: Date.now() + this.clockSkewMs,
      checksum: '',
      allIPs: false,
      reachProtectionThreshold: false,
      valid: true,
    }
  }

  serviceNames(namespace: string, group: string): string[] {
    const prefix = `${namespace}/${group}@@`
    return [...this.services]
      .filter(([key, hosts]) => key.startsWith(prefix) && hosts.size > 0)
      .map(([key]) => key.slice(prefix.length))
  }

  document(tenant: string, group: string, dataId: string): StandInDocument | undefined {
    return this.documents.get(`${tenant}\n${group}\n${dataId}`)
  }

  /** Compare-and-set like the servers': a wrong md5 writes nothing. Answers whether it wrote. */
  writeDocument(tenant: string, group: string, dataId: string, content: string, casMd5 = ''): boolean {
    const before = this.document(tenant, group, dataId)
    if (casMd5 !== '' && before?.md5 !== casMd5) return false
    const md5 = createHash('md5').update(content, 'utf8').digest('hex')
    const lastModified = Math.max(Date.now(), (before?.lastModified ?? 0) + 1)
    this.documents.set(`${tenant}\n${group}\n${dataId}`, { content, md5, lastModified })
    this.onDocument(tenant, group, dataId)
    return true
  }

  removeDocument(tenant: string, group: string, dataId: string): void {
    this.documents.delete(`${tenant}\n${group}\n${dataId}`)
    this.onDocument(tenant, group, dataId)
  }
}

/** An instance with a real server's defaults for what is not given. */
export function wireInstance(host: Partial<WireInstance>): WireInstance {
  return {
    ip: '10.0.0.1',
    port: 80,
    weight: 1,
    healthy: true,
    enabled: true,
    ephemeral: true,
    clusterName: 'DEFAULT',
    metadata: {},
    ...host,
  }
}

function keyOf(service: ServiceName): string {
  return `${service.namespace}/${service.group}@@${service.name}`
}
