/** Consul as a registry: blocking queries by the health API, registration at the local agent with TTL checks. */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import { lookedAtShare, type AdapterDeps } from '../../contracts/registry-adapter.ts'
import { HttpClient, jsonOf } from '../http/http-client.ts'
import type { HttpAnswer } from '../http/http-client.ts'
import { KnownInstances } from '../known-instances.ts'
import { OneGroup } from '../one-group.ts'
import { PulsedAdapter } from '../pulsed-adapter.ts'
import type { ConsulAdapterConfig } from './config.ts'
import { ConsulApi } from './consul-api.ts'
import { InstanceDriver } from './instance-driver.ts'
import { readInstances } from './read-instances.ts'
import { ServicePolls } from './service-polls.ts'

const timeoutMs = 5000

export class ConsulAdapter extends PulsedAdapter {
  readonly type = 'consul'
  private readonly settings: ConsulAdapterConfig
  private readonly http: HttpClient
  private readonly api: ConsulApi
  private readonly naming: OneGroup
  private readonly polls: ServicePolls
  private readonly known = new Map<ServiceKey, KnownInstances>()

  constructor(config: ConsulAdapterConfig, deps: AdapterDeps) {
    const http = new HttpClient({
      servers: config.servers,
      tls: config.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => {
        const token = config.token()
        return token === undefined ? {} : { 'x-consul-token': token }
      },
    })
    const api = new ConsulApi(http, config)
    super(config, new InstanceDriver(api), deps)
    this.settings = config
    this.http = http
    this.api = api
    this.naming = new OneGroup(config)
    this.polls = new ServicePolls({
      waitMs: config.waitMs,
      clock: deps.clock,
      random: deps.random,
      ask: (name, index, waitMs, signal) => this.ask(name, index, waitMs, signal),
      onAnswer: (key, answer) => this.answered(key, answer),
      onFailure: (key, error) => this.failed(key, error),
    })
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const answer = await this.api.ask('/v1/catalog/services', {}, { timeoutMs, signal })
    const json = jsonOf(answer, 'the services')
    const names = Object.keys(json !== null && typeof json === 'object' ? json : {})
    // a token for some services is shown those
    if (names.length === 0 && isFiltered(answer)) throw denied('the services')
    return this.naming.keys(names, limit)
  }

  protected get server(): string | undefined {
    return this.http.server
  }

  /** An empty leader is a cluster that cannot answer. */
  protected async ping(): Promise<void> {
    const answer = await this.api.ask('/v1/status/leader', {}, { timeoutMs })
    if (jsonOf(answer, 'the leader') === '') throw new MeshError('E_REGISTRY_UNREACHABLE', 'Consul has no leader')
  }

  protected canHave(service: ServiceName): boolean {
    return this.naming.has(service)
  }

  protected checkAnnounced(service: ServiceName): void {
    this.naming.check(service)
  }

  protected follow(key: ServiceKey, service: ServiceName): void {
    this.known.set(key, new KnownInstances())
    this.polls.add(key, service.name)
  }

  protected again(key: ServiceKey): void {
    this.polls.again(key)
  }

  protected release(key: ServiceKey): void {
    this.polls.remove(key)
    this.known.delete(key)
  }

  protected lost(): void {
    this.polls.pause()
  }

  protected back(): void {
    this.polls.resume()
  }

  protected stop(): void {
    this.polls.close()
  }

  protected closeClient(): void {
    this.http.close()
  }

  /** Rejects with E_REGISTRY_DENIED also where Consul leaves out what the token may not read, and answers 200. */
  private async ask(name: string, index: bigint, waitMs: number, signal: AbortSignal): Promise<HttpAnswer> {
    const waits: Record<string, string> = index === 0n ? {} : { index: String(index), wait: `${waitMs}ms` }
    // Consul adds up to a sixteenth to the wait
    const patience = (index === 0n ? 0 : Math.ceil(waitMs * 1.0625)) + timeoutMs
    const answer = await this.api.ask(
      `/v1/health/service/${encodeURIComponent(name)}`,
      { stale: '', ...waits },
      { timeoutMs: patience, signal },
    )
    if (isFiltered(answer)) throw denied(`the instances of ${name}`)
    return answer
  }

  private answered(key: ServiceKey, answer: HttpAnswer): void {
    let read: ReturnType<typeof readInstances>
    try {
      const most = this.settings.maxEndpoints * lookedAtShare
      read = readInstances(jsonOf(answer, 'the instances'), most, this.known.get(key)!)
      if (read === undefined) throw new MeshError('E_REGISTRY_PROTOCOL', 'the instances are no list')
    } catch (error) {
      this.failed(key, error as MeshError)
      return
    }
    if (read.refused > 0) {
      this.deps.metrics.count('registry_entries_refused', { registry: this.name }, read.refused)
      this.deps.log.warn(
        { registry: this.name, service: key, refused: read.refused },
        `${key}: ${read.refused} instances make no sense and are left out; the others are used`,
      )
      // a list of which nothing can be read is no list
      if (read.endpoints.length === 0) {
        this.state.refused(
          key,
          new MeshError('E_REGISTRY_PROTOCOL', `${key}: none of ${read.refused} instances makes sense`),
        )
        return
      }
    }
    this.state.taken(key)
    this.state.services.publish(key, read.endpoints, this.settings.protectThreshold)
  }

  private failed(key: ServiceKey, error: MeshError): void {
    // the pulse decides whether Consul is away
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') {
      this.pulse.now()
      return
    }
    this.state.refused(key, error)
  }
}

/** Since Consul 1.11: something is missing that the token may not read. */
function isFiltered({ headers }: HttpAnswer): boolean {
  return headers['x-consul-results-filtered-by-acls'] === 'true'
}

function denied(what: string): MeshError {
  return new MeshError(
    'E_REGISTRY_DENIED',
    `${what}: Consul leaves out what the token may not read; it needs service:read and node:read`,
  )
}
