/**
 * A control plane that speaks Envoy's xDS as a registry: its clusters are services, its endpoints theirs, its listeners
 * and routes rules. It is asked what an Envoy asks: all clusters and listeners, and what these name.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { AdsCall } from '../ads-call.ts'
import { DesiredState } from '../desired-state.ts'
import { ServerTurns } from '../server-turns.ts'
import { Catalog, type ResourceProblem } from './catalog.ts'
import type { XdsAdapterConfig } from './config.ts'
import { Exchange } from './exchange.ts'
import { XdsRules } from './rules.ts'
import {
  adsPath,
  decodeResponse,
  encodeRequest,
  typeUrls,
  type DiscoveryResponse,
  type ResourceType,
} from './wire/discovery.ts'

/** A stream is not made anew for a second look more often than this, ms. */
const secondLookMs = 10_000
/** As long as Envoy waits for routes that a listener names, ms. */
const routesWaitMs = 15_000
/** A refusal names so many resources. */
const maxNamed = 5

export class XdsAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'xds'
  readonly config = undefined
  readonly rules: XdsRules
  private readonly settings: XdsAdapterConfig
  private readonly deps: AdapterDeps
  private readonly state: DesiredState
  private readonly turns: ServerTurns<XdsAdapterConfig['servers'][number]>
  private readonly catalog: Catalog
  private call: AdsCall | undefined
  private exchanges = new Map<ResourceType, Exchange>()
  /** Types that this stream has answered, and the endpoints that it has named, of those that clusters ask for. */
  private readonly answered = new Set<ResourceType>()
  private readonly said = new Set<string>()
  /** Routes for which this stream was waited in vain. */
  private readonly owed = new Set<string>()
  /** Clusters or listeners that were all gone at once: believed on the next stream. */
  private readonly doubted = new Set<ResourceType>()
  private readonly refused = new Map<ResourceType, MeshError>()
  private openedAt = 0
  private cancelLook: (() => void) | undefined
  private cancelRoutes: (() => void) | undefined

  constructor(config: XdsAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.catalog = new Catalog(config)
    this.rules = new XdsRules(config, this.catalog)
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: undefined,
        onWanted: (key) => this.want(key),
        onDoubt: () => this.lookAgain(),
        onUnwanted: () => undefined,
      },
      deps,
    )
    this.turns = new ServerTurns({
      ...deps,
      registry: config.name,
      servers: config.servers,
      role: 'control plane',
      state: this.state,
      open: () => this.open(),
    })
  }

  start(): void {
    this.turns.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    return this.state.registrations.register(registration)
  }

  listServices(limit: number): Promise<ServiceKey[]> {
    return Promise.resolve([...this.catalog.services()].slice(0, limit))
  }

  status(): RegistryStatus {
    return this.state.status({
      type: this.type,
      connected: this.turns.isHeard,
      server: this.call?.server,
      problem: this.state.problem(this.turns.problem ?? this.refused.values().next().value),
    })
  }

  close(): Promise<void> {
    this.turns.close()
    this.end()
    this.rules.close()
    this.state.services.close()
    return Promise.resolve()
  }

  private open(): void {
    const { cluster, node, tls, token } = this.settings
    let call: AdsCall
    try {
      call = new AdsCall(
        { role: 'control plane', at: this.turns.current, path: adsPath, tls: tls(), token: token() },
        {
          onMessage: (bytes) => this.heard(bytes),
          onEnd: (problem) => this.lost(problem),
        },
      )
    } catch (error) {
      // a certificate or token that cannot be read
      return this.lost(
        error instanceof MeshError ? error : new MeshError('E_REGISTRY_DENIED', (error as Error).message),
      )
    }
    this.call = call
    this.openedAt = this.deps.clock.monotonic()
    this.answered.clear()
    this.said.clear()
    this.owed.clear()
    let isFirst = true
    const send: ConstructorParameters<typeof Exchange>[1]['send'] = (request) => {
      call.send(encodeRequest(isFirst ? { ...request, node: { id: node, cluster } } : request))
      isFirst = false
    }
    const types = Object.keys(typeUrls) as ResourceType[]
    this.exchanges = new Map(types.map((type) => [type, new Exchange(type, { ...this.deps, send })]))
    this.exchanges.get('cluster')!.askAll()
    this.exchanges.get('listener')!.askAll()
  }

  /** Of the stream: nothing is heard of it, and nothing waits. */
  private end(): void {
    for (const exchange of this.exchanges.values()) exchange.close()
    this.exchanges.clear()
    this.cancelLook?.()
    this.cancelLook = undefined
    this.cancelRoutes?.()
    this.cancelRoutes = undefined
    this.call?.close()
    this.call = undefined
  }

  private heard(bytes: Buffer): void {
    let response: DiscoveryResponse
    try {
      response = decodeResponse(bytes)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return this.call?.giveUp(error.message)
    }
    const type = (Object.keys(typeUrls) as ResourceType[]).find((one) => typeUrls[one] === response.typeUrl)
    if (type === undefined)
      return this.call?.giveUp(`it sent ${response.typeUrl.slice(0, 200)}, which nobody asked for`)
    this.turns.heard(this.call!.server)
    this.take(type, response)
  }

  private take(type: ResourceType, response: DiscoveryResponse): void {
    const { resources } = response
    const exchange = this.exchanges.get(type)!
    if (this.isDoubtful(type, resources.length)) {
      exchange.answer(response, undefined)
      return this.lookAgain()
    }
    const { changed, names, problems } = this.catalog.take(type, resources)
    exchange.answer(response, this.refusal(type, response, problems))
    this.answered.add(type)
    this.catalog.tidy()
    const wanted = this.catalog.wantedEndpoints()
    // one that a cluster asks for again is to be said again
    keepOnly(this.said, wanted)
    // they come and go all the time, and an answer says all of them: only of what is news somebody is told, nothing is
    // asked for and no rule is made
    if (type === 'endpoints') {
      const news = new Set(changed)
      for (const name of names) if (!this.said.has(name)) news.add(name)
      for (const name of news) if (wanted.has(name)) this.said.add(name)
      this.state.services.alive()
      return this.tellAll(news)
    }
    this.exchanges.get('endpoints')!.want(wanted)
    this.exchanges.get('route')!.want(this.catalog.wantedRoutes())
    if (type === 'cluster') this.tellAll()
    this.tellRules()
  }

  /** All clusters, or all listeners, gone at once: that is believed when it is said again on another stream. */
  private isDoubtful(type: ResourceType, found: number): boolean {
    if ((type !== 'cluster' && type !== 'listener') || found > 0 || this.catalog.count(type) === 0) {
      this.doubted.delete(type)
      return false
    }
    if (this.doubted.has(type) && !this.answered.has(type)) {
      this.doubted.delete(type)
      return false
    }
    this.doubted.add(type)
    this.answered.add(type)
    this.deps.log.warn(
      { registry: this.name },
      `${this.name}: every ${type} is gone at once; kept until it says so again`,
    )
    return true
  }

  private refusal(
    type: ResourceType,
    { version }: DiscoveryResponse,
    problems: readonly ResourceProblem[],
  ): string | undefined {
    const before = this.refused.get(type)?.message
    if (problems.length === 0) {
      this.refused.delete(type)
      return undefined
    }
    const named = problems.slice(0, maxNamed).map(({ name, problem }) => `${type} ${name.slice(0, 200)}: ${problem}`)
    const left = problems.length - named.length
    const message = `${named.join('; ')}${left > 0 ? `; and ${left} more resources` : ''}`
    this.deps.metrics.count('registry_xds_refused', { registry: this.name, type })
    if (message !== before) {
      this.refused.set(type, new MeshError('E_REGISTRY_PROTOCOL', message))
      this.deps.log.warn(
        { registry: this.name, version },
        `${this.name}: refused, what was good before stays: ${message}`,
      )
    }
    return message
  }

  private want(key: ServiceKey): void {
    setImmediate(() => this.tell(key))
    this.turns.answer(key)
  }

  /** `names`: those with these endpoints alone. */
  private tellAll(names?: ReadonlySet<string>): void {
    for (const key of this.state.services.keys()) {
      const from = this.catalog.cluster(key)?.from
      if (names === undefined || (from !== undefined && 'eds' in from && names.has(from.eds))) this.tell(key)
    }
  }

  /** The newest that is known of it, if it was said on this stream. */
  private tell(key: ServiceKey): void {
    const { services } = this.state
    if (!this.answered.has('cluster') || this.doubted.has('cluster') || !services.has(key)) return
    const problem = this.catalog.problemOf(key)
    if (problem !== undefined) return this.state.refused(key, new MeshError('E_REGISTRY_PROTOCOL', problem))
    this.state.taken(key)
    const from = this.catalog.cluster(key)?.from ?? { endpoints: [] }
    if (!('eds' in from)) services.publish(key, from.endpoints)
    else if (this.said.has(from.eds)) services.publish(key, this.catalog.assignment(from.eds)?.endpoints ?? [])
  }

  /** Once all routes are there that listeners name, or do not come. */
  private tellRules(): void {
    if (!this.answered.has('cluster') || !this.answered.has('listener')) return
    keepOnly(this.owed, this.catalog.wantedRoutes())
    if (this.missingRoutes().length === 0) {
      this.cancelRoutes?.()
      this.cancelRoutes = undefined
      return this.rules.changed()
    }
    this.cancelRoutes ??= this.deps.clock.after(routesWaitMs, () => {
      this.cancelRoutes = undefined
      const missing = this.missingRoutes()
      this.deps.log.warn(
        { registry: this.name },
        `${this.name}: no answer about the routes ${missing.slice(0, maxNamed).join(', ')}`,
      )
      for (const name of missing) this.owed.add(name)
      this.rules.changed()
    })
  }

  /** Those of which nothing was said yet, good or not, and that are still waited for. */
  private missingRoutes(): string[] {
    return [...this.catalog.wantedRoutes()].filter(
      (name) => !this.catalog.isSaid('route', name) && !this.owed.has(name),
    )
  }

  /** A new stream at the same server, where everything is said again. */
  private lookAgain(): void {
    if (this.cancelLook !== undefined || this.call === undefined) return
    const since = this.deps.clock.monotonic() - this.openedAt
    this.cancelLook = this.deps.clock.after(Math.max(0, secondLookMs - since), () => {
      this.end()
      this.open()
    })
  }

  private lost(problem: MeshError): void {
    this.end()
    this.turns.lost(problem)
  }
}

function keepOnly(names: Set<string>, wanted: ReadonlySet<string>): void {
  for (const name of names) if (!wanted.has(name)) names.delete(name)
}
