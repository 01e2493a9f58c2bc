/**
 * DNS as a registry: each service that is wanted is looked up, and again whenever its time is over. Nothing can be
 * announced there.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { OneGroup } from '../one-group.ts'
import { PulsedAdapter } from '../pulsed-adapter.ts'
import { Addresses, machineFamilies } from './addresses.ts'
import type { DnsAdapterConfig } from './config.ts'
import { DnsClient } from './dns-client.ts'
import { isDnsName } from './names.ts'
import { lookUp } from './service-lookup.ts'
import { Turns } from './turns.ts'
import { fileContent, nameServersIn } from './system-files.ts'

const minRetryMs = 1000
const maxRetryMs = 30_000
/**
 * Services that are looked up at the same time. The others wait as names: a thousand looks under way, with twenty
 * questions each, would live long enough to be taken for old by the collector (200 MiB more, measured).
 */
const maxLooks = 32

interface Watched {
  readonly name: string
  cancel: (() => void) | undefined
  failures: number
  isLooking: boolean
  /** Asked for once more while it was looked up. */
  isAgain: boolean
}

export class DnsAdapter extends PulsedAdapter {
  readonly type = 'dns'
  private readonly settings: DnsAdapterConfig
  private readonly client: DnsClient
  private readonly addresses: Addresses
  private readonly naming: OneGroup
  private readonly turns = new Turns(maxLooks)
  private readonly watched = new Map<ServiceKey, Watched>()
  private isClosed = false

  constructor(config: DnsAdapterConfig, deps: AdapterDeps) {
    super(config, undefined, deps)
    this.settings = config
    const listed = fileContent('/etc/resolv.conf', deps.clock, nameServersIn)
    this.client = new DnsClient({
      servers: () => (config.servers.length > 0 ? config.servers : listed()),
      clock: deps.clock,
      random: deps.random,
      ...(config.timeoutMs === undefined ? {} : { timeoutMs: config.timeoutMs }),
    })
    this.addresses = new Addresses({ client: this.client, families: config.families ?? machineFamilies })
    this.naming = new OneGroup(config)
  }

  /** DNS does not say which names it has; that somebody answers is known afterwards. */
  async listServices(): Promise<ServiceKey[]> {
    await this.ping()
    return []
  }

  /** Any word of a name server is a sign of life; what it says of single names is a matter of theirs. */
  protected async ping(): Promise<void> {
    const above = this.settings.query.replace(/^.*\{service\}\.?/, '')
    await this.client.ask(isDnsName(above) ? above : '.', 'SOA').catch((error: unknown) => {
      const { code } = error as MeshError
      if (code === 'E_REGISTRY_UNREACHABLE' || code === 'E_REGISTRY_TIMEOUT') throw error
    })
  }

  protected get server(): string | undefined {
    return this.client.server
  }

  protected canHave(service: ServiceName): boolean {
    return this.naming.has(service) && this.isAskedFor(service.name) && isDnsName(this.nameOf(service))
  }

  /** Nothing can be announced, whatever its name. */
  protected checkAnnounced(): void {}

  protected follow(key: ServiceKey, service: ServiceName): void {
    const name = this.nameOf(service)
    this.watched.set(key, { name, cancel: undefined, failures: 0, isLooking: false, isAgain: false })
    if (this.pulse.isAlive) this.again(key)
  }

  protected release(key: ServiceKey): void {
    this.watched.get(key)?.cancel?.()
    this.watched.delete(key)
  }

  protected again(key: ServiceKey): void {
    const watched = this.watched.get(key)
    if (watched === undefined) return
    if (watched.isLooking) watched.isAgain = true
    else void this.lookOnce(key, watched)
  }

  protected lost(): void {
    for (const watched of this.watched.values()) watched.cancel?.()
  }

  protected back(): void {
    for (const key of this.watched.keys()) this.again(key)
  }

  protected stop(): void {
    this.isClosed = true
    for (const key of this.watched.keys()) this.release(key)
  }

  /** It has a socket only while a question is under way. */
  protected closeClient(): void {}

  private nameOf({ name }: ServiceName): string {
    return this.settings.query.replace('{service}', name)
  }

  private isAskedFor(name: string): boolean {
    const { only } = this.settings
    const lower = name.toLowerCase()
    return (
      only.length === 0 || only.some((one) => (one.startsWith('*.') ? lower.endsWith(one.slice(1)) : lower === one))
    )
  }

  private async lookOnce(key: ServiceKey, watched: Watched): Promise<void> {
    watched.cancel?.()
    watched.isLooking = true
    watched.isAgain = false
    let nextMs: number
    try {
      const look = await this.turns.run(async () =>
        this.isOver(key, watched) ? undefined : lookUp(watched.name, this.settings, this.client, this.addresses),
      )
      if (look === undefined) return
      const { endpoints, ttlMs, lost } = look
      nextMs = Math.min(Math.max(ttlMs, this.settings.minRefreshMs), this.settings.maxRefreshMs)
      watched.failures = 0
      this.deps.metrics.count('dns_lookups', { registry: this.name, result: endpoints.length > 0 ? 'ok' : 'none' })
      if (this.isOver(key, watched)) return
      if (lost > 0)
        this.deps.log.warn(
          { registry: this.name, service: key, lost },
          `${key}: ${lost} targets of ${watched.name} have no address that could be heard; the others are used`,
        )
      this.state.taken(key)
      this.state.services.publish(key, endpoints)
    } catch (error) {
      this.deps.metrics.count('dns_lookups', { registry: this.name, result: 'failed' })
      nextMs = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(watched.failures++, 8))
      if (this.isOver(key, watched)) return
      this.failed(key, error as MeshError)
    } finally {
      watched.isLooking = false
    }
    if (watched.isAgain) this.again(key)
    else watched.cancel = this.deps.clock.after(nextMs, () => this.again(key))
  }

  private isOver(key: ServiceKey, watched: Watched): boolean {
    return this.isClosed || this.watched.get(key) !== watched
  }

  private failed(key: ServiceKey, error: MeshError): void {
    // the pulse decides whether the name servers are away; that of one name may be, behind a server that is there
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') this.pulse.now()
    this.state.refused(key, error)
  }
}
