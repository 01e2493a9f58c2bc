/**
 * DNS as a registry: each service that is wanted is looked up, and again whenever its time is over. Nothing can be
 * announced there.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { DesiredState } from '../desired-state.ts'
import { OneGroup } from '../one-group.ts'
import { Pulse } from '../pulse.ts'
import { Addresses, machineFamilies } from './addresses.ts'
import type { DnsAdapterConfig } from './config.ts'
import { DnsClient } from './dns-client.ts'
import { isDnsName } from './names.ts'
import { lookUp } from './service-lookup.ts'
import { fileContent, nameServersIn } from './system-files.ts'

const minRetryMs = 1000
const maxRetryMs = 30_000

interface Watched {
  readonly name: string
  cancel: (() => void) | undefined
  failures: number
  isLooking: boolean
  /** Asked for once more while it was looked up. */
  isAgain: boolean
}

export class DnsAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'dns'
  readonly config = undefined
  private readonly settings: DnsAdapterConfig
  private readonly deps: AdapterDeps
  private readonly client: DnsClient
  private readonly addresses: Addresses
  private readonly naming: OneGroup
  private readonly state: DesiredState
  private readonly pulse: Pulse
  private readonly watched = new Map<ServiceKey, Watched>()
  private isClosed = false

  constructor(config: DnsAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    const listed = fileContent('/etc/resolv.conf', deps.clock, nameServersIn)
    this.client = new DnsClient({
      servers: () => (config.servers.length > 0 ? config.servers : listed()),
      clock: deps.clock,
      random: deps.random,
      ...(config.timeoutMs === undefined ? {} : { timeoutMs: config.timeoutMs }),
    })
    this.addresses = new Addresses({ client: this.client, families: config.families ?? machineFamilies })
    this.naming = new OneGroup(config)
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: undefined,
        onWanted: (key, service) => this.want(key, service),
        onDoubt: (key) => this.look(key),
        onUnwanted: (key) => this.release(key),
      },
      deps,
    )
    this.pulse = new Pulse(
      {
        registry: config.name,
        everyMs: config.pulseMs,
        ask: () => this.ping(),
        onLost: (problem) => this.lost(problem),
        onBack: () => this.back(),
      },
      deps,
    )
  }

  start(): void {
    this.pulse.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    return this.state.registrations.register(registration)
  }

  /** DNS does not say which names it has; that somebody answers is known afterwards. */
  async listServices(): Promise<ServiceKey[]> {
    await this.ping()
    return []
  }

  status(): RegistryStatus {
    const { isAlive, problem } = this.pulse
    return this.state.status({
      type: this.type,
      connected: isAlive && !this.state.isAllRefused,
      server: isAlive ? this.client.server : undefined,
      problem: this.state.problem(problem),
    })
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.state.services.close()
    this.pulse.close()
    for (const key of this.watched.keys()) this.release(key)
  }

  /** Any word of a name server is a sign of life; what it says of single names is a matter of theirs. */
  private async ping(): Promise<void> {
    const above = this.settings.query.replace(/^.*\{service\}\.?/, '')
    await this.client.ask(isDnsName(above) ? above : '.', 'SOA').catch((error: unknown) => {
      const { code } = error as MeshError
      if (code === 'E_REGISTRY_UNREACHABLE' || code === 'E_REGISTRY_TIMEOUT') throw error
    })
  }

  private want(key: ServiceKey, service: ServiceName): void {
    const name = this.settings.query.replace('{service}', service.name)
    if (!this.naming.has(service) || !this.isAskedFor(service.name) || !isDnsName(name)) {
      this.state.answerNothing(key)
      return
    }
    this.watched.set(key, { name, cancel: undefined, failures: 0, isLooking: false, isAgain: false })
    const { isAlive, isLost, problem } = this.pulse
    if (isAlive) this.look(key)
    else if (isLost && problem !== undefined) this.state.answerLost(key, problem)
  }

  private isAskedFor(name: string): boolean {
    const { only } = this.settings
    const lower = name.toLowerCase()
    return (
      only.length === 0 || only.some((one) => (one.startsWith('*.') ? lower.endsWith(one.slice(1)) : lower === one))
    )
  }

  private release(key: ServiceKey): void {
    this.watched.get(key)?.cancel?.()
    this.watched.delete(key)
  }

  private look(key: ServiceKey): void {
    const watched = this.watched.get(key)
    if (watched === undefined) return
    if (watched.isLooking) watched.isAgain = true
    else void this.lookOnce(key, watched)
  }

  private async lookOnce(key: ServiceKey, watched: Watched): Promise<void> {
    watched.cancel?.()
    watched.isLooking = true
    watched.isAgain = false
    let nextMs: number
    try {
      const { endpoints, ttlMs, lost } = await lookUp(watched.name, this.settings, this.client, this.addresses)
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
    if (watched.isAgain) this.look(key)
    else watched.cancel = this.deps.clock.after(nextMs, () => this.look(key))
  }

  private isOver(key: ServiceKey, watched: Watched): boolean {
    return this.isClosed || this.watched.get(key) !== watched
  }

  private failed(key: ServiceKey, error: MeshError): void {
    // the pulse decides whether the name servers are away; that of one name may be, behind a server that is there
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') this.pulse.now()
    this.state.refused(key, error)
  }

  private lost(problem: MeshError): void {
    for (const watched of this.watched.values()) watched.cancel?.()
    this.state.lost(problem)
  }

  private back(): void {
    this.state.back()
    for (const key of this.watched.keys()) this.look(key)
  }
}
