/** Puts the parts of the Nacos adapter together: servers, identity, naming over gRPC with HTTP as the way out, registration, documents. */
import { serviceKey } from '../../contracts/endpoint.ts'
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { describeError, MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  ConfigSource,
  EndpointListener,
  RegistrationHandle,
  Registration,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { createAuth } from './auth/auth.ts'
import type { Auth } from './auth/auth.ts'
import { defaultNacosTimes } from './config.ts'
import type { NacosAdapterConfig, NacosTimes } from './config.ts'
import { NacosConfigSource } from './documents/config-source.ts'
import { grpcDocuments, httpDocuments } from './documents/document-transport.ts'
import { GrpcSession } from './grpc/session.ts'
import { createNudge } from './legacy/nudge.ts'
import type { Nudge } from './legacy/nudge.ts'
import { Discovery } from './naming/discovery.ts'
import { HttpNaming } from './naming/http-naming.ts'
import { RegisteredInstance } from './naming/registered-instance.ts'
import { grpcTransport, httpTransport } from './naming/transports.ts'
import type { HttpTransport } from './naming/transports.ts'
import { HttpClient } from './server-list/http-client.ts'
import { MemberWatch } from './server-list/member-watch.ts'
import { ServerList } from './server-list/server-list.ts'
import type { NacosServer } from './server-list/server-list.ts'
import { Trouble } from './server-list/trouble.ts'
import { Refusals } from './refusals.ts'
import type { RefusedCall } from './refusals.ts'
import { clientRequests, serverRequests } from './wire/messages.ts'
import { contextPath } from './wire/http-paths.ts'
import { configTenant, groupSeparator, splitGroupedName } from './wire/service-name.ts'

/** Names that one page of `listServices` asks for. */
const pageSize = 500

export class NacosAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'nacos'
  readonly config: ConfigSource
  readonly #config: NacosAdapterConfig
  readonly #deps: AdapterDeps
  readonly #times: NacosTimes
  readonly #servers: ServerList
  readonly #http: HttpClient
  readonly #auth: Auth
  readonly #httpNaming: HttpNaming
  readonly #naming: GrpcSession
  readonly #documentSession: GrpcSession
  readonly #documents: NacosConfigSource
  readonly #discovery: Discovery
  readonly #registrations = new Set<RegisteredInstance>()
  /** Removals that are under way, by instance. */
  readonly #removals = new Map<string, { readonly instance: RegisteredInstance; readonly removal: Promise<void> }>()
  readonly #trouble: Trouble
  readonly #refusals: Refusals
  readonly #createdAt = performance.now()
  readonly #memberWatch: MemberWatch
  readonly #abort = new AbortController()
  #polling: HttpTransport | undefined
  #nudge: Promise<Nudge> | undefined
  /** What is polled, for a nudge that comes later. */
  readonly #polled = new Map<ServiceKey, ServiceName>()
  readonly #nudged = {
    watch: (service: ServiceName): void => {
      this.#polled.set(serviceKey(service), service)
      this.#nudge?.then((nudge) => nudge.watch(service)).catch(() => undefined)
    },
    unwatch: (service: ServiceName): void => {
      this.#polled.delete(serviceKey(service))
      this.#nudge?.then((nudge) => nudge.unwatch(service)).catch(() => undefined)
    },
  }
  /** Who waits for the first server that answers. */
  readonly #waiting = new Set<() => void>()
  #isTryingHttp = false
  /** Why the last look for a server that speaks HTTP found none, where it was a refusal. */
  #httpRefusal: MeshError | undefined
  #hasOutage = false
  #hadGrpc = false
  #lastHeardAt = 0
  #problem: { readonly error: MeshError; readonly at: number } | undefined

  constructor(config: NacosAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.#config = config
    this.#deps = deps
    this.#times = { ...defaultNacosTimes, ...config.times }
    this.#refusals = new Refusals({
      registry: config.name,
      now: deps.now,
      log: deps.log,
      metrics: deps.metrics,
      identity: () => this.#auth.identity,
      wanted: (call) => this.#wanted(call),
      onAnswered: () => this.#askFailed(),
    })
    this.#servers = new ServerList(config.servers, this.#times.resolveMs, {
      random: deps.random,
      onProblem: (message) => deps.log.warn({ registry: config.name }, message),
    })
    this.#trouble = new Trouble({
      registry: config.name,
      settleMs: this.#times.settleMs,
      log: deps.log,
      metrics: deps.metrics,
    })
    const portOffset = config.transport === 'http' ? 0 : (config.grpcPortOffset ?? 1000)
    this.#memberWatch = new MemberWatch({
      servers: this.#servers,
      portOf: ({ port }) => port + portOffset,
      random: deps.random,
      connectTimeoutMs: this.#times.requestTimeoutMs,
      onLost: ({ id }) => this.#trouble.sign('member-lost', id),
      onBack: ({ id }) => this.#trouble.sign('member-back', id),
    })
    this.#http = new HttpClient({
      contextPath: config.contextPath ?? contextPath,
      tls: config.tls,
      timeoutMs: this.#times.requestTimeoutMs,
    })
    this.#auth = createAuth(
      config.credentials,
      { now: deps.now, log: deps.log, http: this.#http, servers: this.#servers },
      config.renewedCredentials,
    )
    this.#httpNaming = new HttpNaming(this.#http, this.#auth, config.api ?? 'auto')
    this.#naming = this.#session('naming', {
      onReady: (connection) => {
        if (this.#hadGrpc) this.#trouble.sign('moved', connection.server.id)
        this.#hadGrpc = true
        this.#problem = undefined
        this.#endPolling()
        this.#discovery.connected(grpcTransport(this.#naming, connection), this.#hasOutage)
        for (const done of this.#waiting) done()
        this.#hasOutage = false
      },
      onLost: (problem) => {
        // a lone server that cut us off may have been restarted in the meantime, and nobody else can tell what it forgot
        if (this.#servers.servers.length < 2) this.#hasOutage = true
        this.#trouble.sign('lost', undefined)
        this.#lost(problem)
      },
      onReset: () => this.#trouble.sign('reset', this.#naming.connection?.server.id),
      onRoundFailed: (problem) => void this.#roundFailed(problem),
      onPush: (type, body) => {
        this.#heard()
        if (type === serverRequests.notifySubscriber) this.#pushed(body)
      },
    })
    this.#documentSession = this.#session('config', {
      onReady: () => this.#documents.connected(),
      onLost: () => undefined,
      onReset: () => undefined,
      onRoundFailed: () => undefined,
      onPush: (type, body) => {
        this.#heard()
        const { group, dataId } = body
        if (type === serverRequests.configChangeNotify && typeof group === 'string' && typeof dataId === 'string')
          this.#documents.changed(group, dataId)
      },
    })
    this.#discovery = new Discovery({
      ...deps,
      registry: config.name,
      times: this.#times,
      read: { rules: config.endpoints, clusters: config.clusters ?? [] },
      hasSecondServer: () => this.#secondServer() !== undefined,
      secondOpinion: (service) => this.#secondOpinion(service),
      isTroubled: () => this.#trouble.isPresent,
      onHeard: () => this.#heard(),
      refusals: this.#refusals,
    })
    const tenant = configTenant(config.namespace)
    this.#documents = new NacosConfigSource({
      ...deps,
      registry: config.name,
      tenant,
      times: this.#times,
      session: this.#documentSession,
      overGrpc: grpcDocuments(this.#documentSession, tenant),
      overHttp: httpDocuments(this.#http, this.#auth, () => this.#anyServer(), tenant),
      isHttpOnly: () => this.#config.transport === 'http' || this.#polling !== undefined,
      onHeard: () => this.#heard(),
      refusals: this.#refusals,
    })
    this.config = this.#documents
  }

  start(): void {
    this.#servers.start()
    this.#memberWatch.start()
    if (this.#config.transport === 'http') {
      void this.#keepPolling()
      return
    }
    this.#naming.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.#discovery.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    const key = identityOf(registration)
    const present = this.#removals.get(key)
    present?.instance.supersede()
    const instance = new RegisteredInstance(registration, {
      registry: this.name,
      naming: this.#httpNaming,
      servers: this.#servers,
      times: this.#times,
      random: this.#deps.random,
      log: this.#deps.log,
      metrics: this.#deps.metrics,
      trouble: this.#trouble,
      refusals: this.#refusals,
      isYoung: () => performance.now() - this.#createdAt < this.#times.settleMs,
      after: present?.removal,
      closing: this.#abort.signal,
      onEnd: (self) => {
        this.#registrations.delete(self)
      },
      onRemoval: (self, removal) => {
        const entry = { instance: self, removal }
        this.#removals.set(key, entry)
        void removal.finally(() => {
          if (this.#removals.get(key) === entry) this.#removals.delete(key)
        })
      },
    })
    this.#registrations.add(instance)
    return instance
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const groups = new Set([...(this.#config.groups ?? ['DEFAULT_GROUP']), ...this.#discovery.groups()])
    const namespace = this.#config.namespace
    const out: ServiceKey[] = []
    for (const group of groups) {
      for (let page = 1; out.length < limit; page++) {
        const names = await this.#page(group, page, Math.min(pageSize, limit), signal)
        for (const name of names) if (out.length < limit) out.push(serviceKey({ namespace, group, name }))
        if (names.length < Math.min(pageSize, limit)) break
      }
    }
    return out
  }

  /** Replaces the servers, for example after a reload of the configuration; a connection to one that is gone moves. Rejects with E_CONFIG_INVALID. */
  setServers(servers: readonly string[]): Promise<void> {
    return this.#servers.set(servers)
  }

  status(): RegistryStatus {
    const connection = this.#naming.connection
    const { isAway, list: refused } = this.#refusals
    const lost = this.#problem && {
      code: this.#problem.error.code,
      message: this.#problem.error.message,
      at: this.#problem.at,
    }
    // an idle connection is checked every few seconds; each answer is a word of the registry, unless it refuses what it is really asked
    const checkedAt =
      connection === undefined || isAway ? 0 : this.#deps.now() - (performance.now() - connection.lastHeardAt)
    return {
      name: this.name,
      type: this.type,
      connected: !isAway && (connection !== undefined || this.#polling !== undefined),
      server: connection?.server.id ?? this.#polling?.server.id,
      problem: lost ?? this.#refusals.problem,
      subscriptions: this.#discovery.size,
      registrations: this.#registrations.size,
      lastHeardAt: Math.max(this.#lastHeardAt, checkedAt),
      ...(refused.length === 0 ? {} : { refused }),
    }
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#naming.close()
    this.#documentSession.close()
    this.#discovery.close()
    this.#documents.close()
    this.#endPolling()
    this.#memberWatch.close()
    this.#servers.close()
    this.#auth.close()
    await Promise.all([...this.#registrations].map((registration) => registration.close()))
    this.#http.close()
  }

  #session(module: 'naming' | 'config', events: ConstructorParameters<typeof GrpcSession>[2]): GrpcSession {
    return new GrpcSession(
      {
        registry: this.name,
        module,
        tenant: configTenant(this.#config.namespace),
        clientIp: this.#config.hostAddress ?? '',
        grpcPortOffset: this.#config.grpcPortOffset ?? 1000,
        tls: this.#config.tls,
        times: this.#times,
      },
      {
        servers: this.#servers,
        auth: this.#auth,
        random: this.#deps.random,
        log: this.#deps.log,
        metrics: this.#deps.metrics,
      },
      events,
    )
  }

  #pushed(body: Readonly<Record<string, unknown>>): void {
    const info = body['serviceInfo'] as Readonly<Record<string, unknown>> | null | undefined
    const text = body['serviceName'] ?? info?.['name']
    const group = body['groupName'] ?? info?.['groupName']
    if (typeof text !== 'string' || (typeof group !== 'string' && !text.includes(groupSeparator))) {
      this.#deps.metrics.count('registry_push_refused', { registry: this.name, reason: 'malformed' })
      return
    }
    const split = splitGroupedName(text, typeof group === 'string' ? group : undefined)
    const namespace = body['namespace']
    this.#discovery.push(
      typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
      split.group,
      split.name,
      info,
    )
  }

  #wanted(call: RefusedCall): number {
    switch (call) {
      case 'subscribe':
        return this.#discovery.size
      case 'register':
        return this.#registrations.size
      case 'documents':
        return this.#documents.size
    }
  }

  #askFailed(): void {
    this.#discovery.askFailed()
    this.#documents.askFailed()
    for (const registration of this.#registrations) registration.tryNow()
  }

  #lost(problem: MeshError): void {
    this.#problem = { error: problem, at: this.#deps.now() }
    this.#discovery.lost(problem)
  }

  /** No server speaks gRPC with us. One that speaks HTTP is good enough until one does. */
  async #roundFailed(problem: MeshError): Promise<void> {
    // an earlier round is still asking over HTTP: it says what comes of it
    if (this.#polling !== undefined || this.#isTryingHttp) return
    // servers that spoke gRPC before are probably restarting
    const isWorthATry = this.#config.transport !== 'grpc' && (!this.#hadGrpc || this.#naming.failedRounds >= 4)
    const isUp = isWorthATry && (await this.#tryHttp())
    if (isUp || this.#naming.connection !== undefined || this.#abort.signal.aborted) return
    this.#hasOutage = true
    this.#lost(problem)
  }

  async #tryHttp(): Promise<boolean> {
    if (this.#isTryingHttp) return false
    this.#isTryingHttp = true
    try {
      for (const server of this.#servers.inRandomOrder()) {
        try {
          await this.#httpNaming.list(
            server,
            { namespace: this.#config.namespace, group: 'DEFAULT_GROUP', name: 'hostmesh' },
            this.#abort.signal,
          )
        } catch (error) {
          if (error instanceof MeshError && error.code === 'E_REGISTRY_DENIED') this.#httpRefusal = error
          continue
        }
        this.#httpRefusal = undefined
        if (this.#naming.connection !== undefined || this.#abort.signal.aborted) return false
        this.#beginPolling(server)
        return true
      }
      return false
    } finally {
      this.#isTryingHttp = false
    }
  }

  #beginPolling(server: NacosServer): void {
    const polling = httpTransport(
      this.#httpNaming,
      this.#servers,
      server,
      this.#times.httpPollMs,
      (problem) => {
        if (this.#polling !== polling) return
        this.#endPolling()
        this.#hasOutage = true
        this.#lost(problem)
        if (this.#config.transport === 'http') void this.#keepPolling()
      },
      this.#nudged,
    )
    this.#polling = polling
    void this.#beginNudging(server)
    this.#deps.metrics.gauge('registry_http_only', { registry: this.name }, 1)
    this.#deps.log.warn(
      { registry: this.name, server: server.id, api: this.#httpNaming.apiOf(server) },
      'this Nacos answers HTTP but not gRPC; asking it for changes instead of being told, until gRPC works',
    )
    this.#heard()
    this.#problem = undefined
    this.#discovery.connected(polling, this.#hasOutage)
    for (const done of this.#waiting) done()
    this.#hasOutage = false
  }

  #endPolling(): void {
    if (this.#polling === undefined) return
    this.#polling.close()
    this.#polling = undefined
    this.#endNudging()
    this.#deps.metrics.gauge('registry_http_only', { registry: this.name }, 0)
  }

  /** Servers of the 1.x line tell of changes over UDP: somebody who hears that makes polls come sooner. */
  async #beginNudging(server: NacosServer): Promise<void> {
    const isOld = this.#httpNaming.apiOf(server) === 'v1'
    if (
      !isOld ||
      this.#config.credentials.kind !== 'none' ||
      this.#config.tls !== undefined ||
      this.#nudge !== undefined
    )
      return
    const coming = createNudge({
      servers: this.#servers.servers,
      namespace: this.#config.namespace,
      log: this.#deps.log,
      onHint: (service) => {
        this.#deps.metrics.count('registry_hints', { registry: this.name })
        this.#discovery.ask(service)
      },
    })
    this.#nudge = coming
    try {
      const nudge = await coming
      if (this.#nudge === coming) for (const service of this.#polled.values()) nudge.watch(service)
    } catch (error) {
      this.#deps.log.debug(
        { registry: this.name },
        `no early news from this server, polls only: ${describeError(error)}`,
      )
    }
  }

  #endNudging(): void {
    this.#nudge?.then((nudge) => nudge.close()).catch(() => undefined)
    this.#nudge = undefined
    this.#polled.clear()
  }

  async #keepPolling(): Promise<void> {
    while (!this.#abort.signal.aborted && !(await this.#tryHttp())) {
      this.#hasOutage = true
      this.#lost(
        this.#httpRefusal ??
          new MeshError('E_REGISTRY_UNREACHABLE', `registry ${this.name}: no server answers over HTTP`),
      )
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#times.reconnectMinMs * (1 + this.#deps.random()))
        this.#abort.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
      })
    }
  }

  #secondServer(): NacosServer | undefined {
    const present = this.#naming.connection?.server.id ?? this.#polling?.server.id
    return this.#servers.inRandomOrder(present).find(({ id }) => id !== present)
  }

  async #secondOpinion(service: ServiceName): Promise<unknown> {
    const server = this.#secondServer()
    if (server === undefined) throw new MeshError('E_REGISTRY_UNREACHABLE', 'there is no second Nacos server')
    return this.#httpNaming.list(server, service, this.#abort.signal)
  }

  #anyServer(): NacosServer {
    const server = this.#polling?.server ?? this.#servers.inRandomOrder()[0]
    if (server === undefined) throw new MeshError('E_REGISTRY_UNREACHABLE', 'no Nacos server address is known')
    return server
  }

  /** Resolves with the first server that answers; rejects with what stood in the way when the caller gives up. */
  #reachable(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting.delete(done)
        reject(
          this.#problem?.error ??
            new MeshError('E_REGISTRY_TIMEOUT', `registry ${this.name}: no server was reached in time`),
        )
      }
      if (signal.aborted) return giveUp()
      this.#waiting.add(done)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  async #page(group: string, page: number, size: number, signal: AbortSignal): Promise<string[]> {
    // right after the start there is no connection yet, and HTTP may not know the answer (3.x)
    if (this.#naming.connection === undefined && this.#polling === undefined) await this.#reachable(signal)
    if (this.#naming.connection === undefined)
      return this.#httpNaming.services(this.#anyServer(), this.#config.namespace, group, page, size, signal)
    const body = {
      namespace: this.#config.namespace,
      groupName: group,
      serviceName: '',
      pageNo: page,
      pageSize: size,
      selector: '',
    }
    const answer = await this.#naming.request(clientRequests.serviceList, body, { kind: 'service', group, name: '' })
    const names = answer.body['serviceNames']
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  }

  /** A word about services or documents; heartbeats of registrations do not count. */
  #heard(): void {
    this.#lastHeardAt = this.#deps.now()
  }
}

/** Same service, address, port and cluster = the same instance. */
function identityOf({ service, address, port, cluster }: Registration): string {
  return `${serviceKey(service)} ${address} ${port} ${cluster}`
}
