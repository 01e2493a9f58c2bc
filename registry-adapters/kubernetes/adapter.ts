/**
 * Kubernetes as a registry: EndpointSlices by list and watch; on request, rules that lie in the cluster, and local
 * applications written back for pods.
 */
import { parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, RegistryProblem } from '../../contracts/registry-adapter.ts'
import { HttpClient } from '../http/http-client.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import { PulsedAdapter } from '../pulsed-adapter.ts'
import type { KubernetesAdapterConfig } from './config.ts'
import { endpointsOf } from './endpoint-slices.ts'
import type { EndpointSlice } from './endpoint-slices.ts'
import { InstanceDriver } from './instance-driver.ts'
import { KubernetesApi, slicesOf } from './kubernetes-api.ts'
import { removeLeftovers } from './leftovers.ts'
import { NamespaceWatch } from './namespace-watch.ts'
import { RuleWatch } from './rule-watch.ts'
import { WorkloadDriver } from './workload-driver.ts'

/** What a host wrote that gave no sign of life for so long is removed by the others, ms: twenty signs. */
const forgetAfterMs = 600_000

const collectionsOf = {
  'endpoint-slices': slicesOf,
  'workload-entries': (namespace: string) => `/apis/networking.istio.io/v1/namespaces/${namespace}/workloadentries`,
} as const

/** `orders`, or `orders:grpc` for the port of that name. */
interface Wanted {
  readonly key: ServiceKey
  readonly service: string
  readonly portName: string | undefined
}

export class KubernetesAdapter extends PulsedAdapter {
  readonly type = 'kubernetes'
  readonly rules?: RuleWatch
  private readonly settings: KubernetesAdapterConfig
  private readonly http: HttpClient
  private readonly api: KubernetesApi
  private readonly namespaces = new Map<string, NamespaceWatch>()
  /** By Kubernetes namespace and service: several ports of it may be wanted. */
  private readonly wanted = new Map<string, Set<Wanted>>()
  /** By Kubernetes namespace: why it cannot be read although the API server answers. */
  private readonly refusals = new Map<string, MeshError>()
  private stopLeftovers: (() => void) | undefined

  constructor(config: KubernetesAdapterConfig, deps: AdapterDeps) {
    const http = new HttpClient({
      servers: [config.access.server],
      tls: config.access.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => {
        const token = config.access.token()
        return token === undefined ? {} : { authorization: `Bearer ${token}` }
      },
    })
    const api = new KubernetesApi(http)
    super(
      config,
      driverOf(config, api, () => deps.clock.wall()),
      deps,
    )
    this.settings = config
    this.http = http
    this.api = api
    for (const namespace of config.namespaces) this.namespaces.set(namespace, this.watchOf(namespace))
    if (config.hasRules)
      this.rules = new RuleWatch({
        ...deps,
        registry: config.name,
        api: this.api,
        namespaces: config.namespaces,
        watchMs: config.watchMs,
        onTrouble: () => this.pulse.now(),
      })
  }

  override start(): void {
    super.start()
    if (this.settings.write === 'off') return
    this.stopLeftovers = removeLeftovers({
      ...this.deps,
      registry: this.name,
      api: this.api,
      collections: this.settings.namespaces.map(collectionsOf[this.settings.write]),
      forgetAfterMs,
    })
  }

  protected checkAnnounced(service: ServiceName): void {
    if (this.settings.write === 'off')
      throw new MeshError(
        'E_CONFIG_INVALID',
        `registry ${this.name}: it is read only; set write: endpoint-slices to announce applications to pods`,
      )
    if (!this.canHave(service))
      throw new MeshError(
        'E_CONFIG_INVALID',
        `${serviceKey(service)}: registry ${this.name} has the Kubernetes namespaces ${this.settings.namespaces.join(', ')}, which are groups in ${this.settings.namespace}`,
      )
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const { namespace, namespaces } = this.settings
    const keys: ServiceKey[] = []
    for (const group of namespaces)
      for (const name of await this.api.serviceNames(group, limit, signal))
        if (parseServiceName(name) !== undefined) keys.push(serviceKey({ namespace, group, name }))
    return keys.sort().slice(0, limit)
  }

  private watchOf(namespace: string): NamespaceWatch {
    return new NamespaceWatch(namespace, {
      ...this.deps,
      registry: this.name,
      api: this.api,
      watchMs: this.settings.watchMs,
      onListed: () => void this.refusals.delete(namespace),
      onSlices: (service, slices) => this.publish(namespace, service, [...slices]),
      onRefused: (service, problem) => {
        for (const { key } of this.wanted.get(`${namespace}/${service}`) ?? []) this.state.refused(key, problem)
      },
      onProblem: (problem) => {
        this.refusals.set(namespace, problem)
        for (const [place, wanted] of this.wanted)
          if (place.startsWith(`${namespace}/`))
            for (const { key } of wanted) this.state.services.lose(this.state.problemOf(problem), key)
      },
      onTrouble: () => this.pulse.now(),
    })
  }

  protected override get isAllRefused(): boolean {
    return this.refusals.size >= this.namespaces.size || super.isAllRefused
  }

  protected override problem(whole: MeshError | undefined): RegistryProblem | undefined {
    return super.problem(whole ?? this.refusals.values().next().value)
  }

  protected get server(): string | undefined {
    return this.http.server
  }

  protected ping(): Promise<void> {
    return this.api.ping(this.settings.namespaces[0]!)
  }

  protected canHave(service: ServiceName): boolean {
    return service.namespace === this.settings.namespace && this.settings.namespaces.includes(service.group)
  }

  protected follow(key: ServiceKey, name: ServiceName): void {
    const watch = this.namespaces.get(name.group)!
    const wanted = wantedOf(key, name)
    const place = `${name.group}/${wanted.service}`
    const others = this.wanted.get(place)
    this.wanted.set(place, (others ?? new Set()).add(wanted))
    if (others === undefined) watch.want(wanted.service)
    else watch.again(wanted.service)
  }

  protected release(key: ServiceKey): void {
    for (const [place, wanted] of this.wanted) {
      for (const one of wanted) if (one.key === key) wanted.delete(one)
      if (wanted.size > 0) continue
      this.wanted.delete(place)
      const [namespace, service] = place.split('/') as [string, string]
      this.namespaces.get(namespace)?.release(service)
    }
  }

  protected again(key: ServiceKey): void {
    for (const [place, wanted] of this.wanted) {
      const [namespace, service] = place.split('/') as [string, string]
      if ([...wanted].some((one) => one.key === key)) this.namespaces.get(namespace)?.again(service)
    }
  }

  private publish(namespace: string, service: string, slices: readonly EndpointSlice[]): void {
    for (const { key, portName } of this.wanted.get(`${namespace}/${service}`) ?? []) {
      this.state.taken(key)
      this.state.services.publish(key, endpointsOf(slices, portName))
    }
  }

  protected lost(): void {
    for (const watch of this.namespaces.values()) watch.stop()
    this.rules?.stop()
  }

  protected stop(): void {
    this.stopLeftovers?.()
    this.rules?.close()
    for (const watch of this.namespaces.values()) watch.stop()
  }

  protected closeClient(): void {
    this.http.close()
  }

  protected back(): void {
    this.refusals.clear()
    for (const watch of this.namespaces.values()) watch.start()
    this.rules?.start()
  }
}

function wantedOf(key: ServiceKey, { name }: ServiceName): Wanted {
  const at = name.indexOf(':')
  return at < 0
    ? { key, service: name, portName: undefined }
    : { key, service: name.slice(0, at), portName: name.slice(at + 1) }
}

function driverOf(
  { write }: KubernetesAdapterConfig,
  api: KubernetesApi,
  now: () => number,
): RegistrationDriver | undefined {
  if (write === 'off') return undefined
  return write === 'workload-entries' ? new WorkloadDriver(api, now) : new InstanceDriver(api, now)
}
