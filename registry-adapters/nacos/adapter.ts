/**
 * Puts the parts of the Nacos adapter together: servers, identity, naming over gRPC with HTTP as the way out,
 * registration, documents. Decides nothing itself.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
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
import type { MakeSession, NacosSession } from './grpc/sessions.ts'
import { Discovery } from './naming/discovery.ts'
import { HttpNaming } from './naming/http-naming.ts'
import { HttpPolling } from './naming/http-polling.ts'
import { readPush } from './naming/pushed-service.ts'
import { Registrations } from './naming/registrations.ts'
import { listServiceNames } from './naming/service-names.ts'
import { grpcTransport } from './naming/transports.ts'
import { Reach } from './reach.ts'
import { Refusals } from './refusals.ts'
import { HttpClient } from './server-list/http-client.ts'
import { MemberWatch } from './server-list/member-watch.ts'
import { ServerList } from './server-list/server-list.ts'
import type { NacosMember } from './server-list/server-list.ts'
import { Trouble } from './server-list/trouble.ts'
import { contextPath } from './wire/http-paths.ts'
import { serverRequests } from './wire/messages.ts'
import { configTenant } from './wire/service-name.ts'

export class NacosAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'nacos'
  readonly config: ConfigSource
  private readonly settings: NacosAdapterConfig
  private readonly deps: AdapterDeps
  private readonly makeSession: MakeSession
  private readonly times: NacosTimes
  private readonly servers: ServerList
  private readonly http: HttpClient
  private readonly auth: Auth
  private readonly httpNaming: HttpNaming
  private readonly naming: NacosSession
  private readonly documentSession: NacosSession
  private readonly documents: NacosConfigSource
  private readonly discovery: Discovery
  private readonly registrations: Registrations
  private readonly polling: HttpPolling
  private readonly trouble: Trouble
  private readonly refusals: Refusals
  private readonly reach: Reach
  private readonly memberWatch: MemberWatch
  private readonly abort = new AbortController()

  constructor(config: NacosAdapterConfig, deps: AdapterDeps, makeSession: MakeSession) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.makeSession = makeSession
    this.times = { ...defaultNacosTimes, ...config.times }
    const parts = { ...deps, registry: config.name, times: this.times }
    this.refusals = new Refusals({
      ...parts,
      identity: () => this.auth.identity,
      wanted: (call) =>
        ({ subscribe: this.discovery, register: this.registrations, documents: this.documents })[call].size,
      onAnswered: () => this.askFailed(),
    })
    this.servers = new ServerList(config.servers, this.times.resolveMs, {
      clock: deps.clock,
      random: deps.random,
      onProblem: (message) => deps.log.warn({ registry: config.name }, message),
    })
    this.trouble = new Trouble({ ...parts, settleMs: this.times.settleMs })
    this.memberWatch = this.watchMembers()
    this.http = new HttpClient({
      contextPath: config.contextPath ?? contextPath,
      tls: config.tls,
      timeoutMs: this.times.requestTimeoutMs,
      clock: deps.clock,
    })
    this.auth = createAuth(
      config.credentials,
      { clock: deps.clock, log: deps.log, http: this.http, servers: this.servers },
      config.renewedCredentials,
    )
    this.httpNaming = new HttpNaming(this.http, this.auth, config.api ?? 'auto')
    this.reach = new Reach({
      ...parts,
      trouble: this.trouble,
      isLone: () => this.servers.servers.length < 2,
      onConnected: (transport, isAfterOutage) => this.discovery.connected(transport, isAfterOutage),
      onLost: (problem) => this.discovery.lost(problem),
    })
    this.polling = new HttpPolling({
      ...parts,
      namespace: config.namespace,
      transport: config.transport ?? 'auto',
      mayNudge: config.credentials.kind === 'none' && config.tls === undefined,
      servers: this.servers,
      naming: this.httpNaming,
      hasGrpc: () => this.naming.connection !== undefined,
      closing: this.abort.signal,
      onBegin: (transport) => this.reach.overHttp(transport),
      onLost: (problem) => this.reach.allLost(problem),
      onHint: (service) => this.discovery.ask(service),
    })
    this.naming = this.namingSession()
    this.documentSession = this.configSession()
    this.discovery = new Discovery({
      ...parts,
      read: { rules: config.endpoints, clusters: config.clusters ?? [] },
      hasSecondServer: () => this.secondServer() !== undefined,
      secondOpinion: (service) => this.secondOpinion(service),
      isTroubled: () => this.trouble.isPresent,
      onHeard: () => this.reach.heard(),
      refusals: this.refusals,
    })
    const createdAt = deps.clock.monotonic()
    this.registrations = new Registrations({
      ...parts,
      naming: this.httpNaming,
      servers: this.servers,
      trouble: this.trouble,
      refusals: this.refusals,
      isYoung: () => deps.clock.monotonic() - createdAt < this.times.settleMs,
      closing: this.abort.signal,
    })
    const tenant = configTenant(config.namespace)
    this.documents = new NacosConfigSource({
      ...parts,
      tenant,
      session: this.documentSession,
      overGrpc: grpcDocuments(this.documentSession, tenant),
      overHttp: httpDocuments(this.http, this.auth, () => this.anyServer(), tenant),
      isHttpOnly: () => config.transport === 'http' || this.polling.transport !== undefined,
      onHeard: () => this.reach.heard(),
      refusals: this.refusals,
    })
    this.config = this.documents
  }

  start(): void {
    this.servers.start()
    this.memberWatch.start()
    if (this.settings.transport === 'http') void this.polling.start()
    else this.naming.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.discovery.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    return this.registrations.register(registration)
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    // right after the start there is no connection yet, and HTTP may not know the answer (3.x)
    if (!this.isReached) await this.reach.whenConnected(signal)
    const groups = new Set([...(this.settings.groups ?? ['DEFAULT_GROUP']), ...this.discovery.groups()])
    return listServiceNames(groups, limit, signal, {
      namespace: this.settings.namespace,
      session: this.naming,
      overHttp: this.httpNaming,
      anyServer: () => this.anyServer(),
    })
  }

  status(): RegistryStatus {
    const connection = this.naming.connection
    const { isAway, list: refused } = this.refusals
    const { clock } = this.deps
    // an idle connection is checked every few seconds; each answer is a word of the registry, unless it refuses what it
    // is really asked
    const checkedAt =
      connection === undefined || isAway ? 0 : clock.wall() - (clock.monotonic() - connection.lastHeardAt)
    return {
      name: this.name,
      type: this.type,
      connected: !isAway && this.isReached,
      server: this.presentServer,
      problem: this.reach.problem ?? this.refusals.problem,
      subscriptions: this.discovery.size,
      registrations: this.registrations.size,
      lastHeardAt: Math.max(this.reach.lastHeardAt, checkedAt),
      ...(refused.length === 0 ? {} : { refused }),
    }
  }

  async close(): Promise<void> {
    this.abort.abort()
    this.naming.close()
    this.documentSession.close()
    this.discovery.close()
    this.documents.close()
    this.polling.end()
    this.memberWatch.close()
    this.servers.close()
    this.auth.close()
    await this.registrations.close()
    this.http.close()
  }

  private namingSession(): NacosSession {
    return this.session('naming', {
      onReady: (connection) => {
        this.polling.end()
        this.reach.overGrpc(grpcTransport(this.naming, connection), connection.server.id)
      },
      onLost: (problem) => this.reach.grpcLost(problem),
      onReset: () => this.trouble.sign('reset', this.naming.connection?.server.id),
      onRoundFailed: (problem) => void this.polling.grpcFailed(problem, this.reach.hadGrpc, this.naming.failedRounds),
      onPush: (type, body) => {
        this.reach.heard()
        if (type !== serverRequests.notifySubscriber) return
        const pushed = readPush(body)
        if (pushed !== undefined) this.discovery.push(pushed.namespace, pushed.group, pushed.name, pushed.info)
        else this.deps.metrics.count('registry_push_refused', { registry: this.name, reason: 'malformed' })
      },
    })
  }

  private configSession(): NacosSession {
    return this.session('config', {
      onReady: () => this.documents.connected(),
      onLost: () => undefined,
      onReset: () => undefined,
      onRoundFailed: () => undefined,
      onPush: (type, body) => {
        this.reach.heard()
        const { group, dataId } = body
        if (type === serverRequests.configChangeNotify && typeof group === 'string' && typeof dataId === 'string')
          this.documents.changed(group, dataId)
      },
    })
  }

  private session(module: 'naming' | 'config', events: Parameters<MakeSession>[2]): NacosSession {
    const options = {
      registry: this.name,
      module,
      tenant: configTenant(this.settings.namespace),
      clientIp: this.settings.hostAddress ?? '',
      grpcPortOffset: this.settings.grpcPortOffset ?? 1000,
      tls: this.settings.tls,
      times: this.times,
    }
    return this.makeSession(options, { ...this.deps, servers: this.servers, auth: this.auth }, events)
  }

  private watchMembers(): MemberWatch {
    const portOffset = this.settings.transport === 'http' ? 0 : (this.settings.grpcPortOffset ?? 1000)
    return new MemberWatch({
      servers: this.servers,
      portOf: ({ port }) => port + portOffset,
      clock: this.deps.clock,
      random: this.deps.random,
      connectTimeoutMs: this.times.requestTimeoutMs,
      onLost: ({ id }) => this.trouble.sign('member-lost', id),
      onBack: ({ id }) => this.trouble.sign('member-back', id),
    })
  }

  private get isReached(): boolean {
    return this.naming.connection !== undefined || this.polling.transport !== undefined
  }

  private get presentServer(): string | undefined {
    return this.naming.connection?.server.id ?? this.polling.transport?.server.id
  }

  private askFailed(): void {
    this.discovery.askFailed()
    this.documents.askFailed()
    this.registrations.tryNow()
  }

  private secondServer(): NacosMember | undefined {
    const present = this.presentServer
    return this.servers.inRandomOrder(present).find(({ id }) => id !== present)
  }

  private async secondOpinion(service: ServiceName): Promise<unknown> {
    const server = this.secondServer()
    if (server === undefined) throw new MeshError('E_REGISTRY_UNREACHABLE', 'there is no second Nacos server')
    return this.httpNaming.list(server, service, this.abort.signal)
  }

  private anyServer(): NacosMember {
    const server = this.polling.transport?.server ?? this.servers.inRandomOrder()[0]
    if (server === undefined) throw new MeshError('E_REGISTRY_UNREACHABLE', 'no Nacos server address is known')
    return server
  }
}
