/** The mesh as one application sees it: the parts put together. */
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { every, systemClock } from '../contracts/clock.ts'
import type { Clock } from '../contracts/clock.ts'
import { metadataKeys } from '../contracts/endpoint.ts'
import { describeError, MeshError } from '../contracts/errors.ts'
import type { Registration } from '../contracts/registry-adapter.ts'
import type { RpcCodec } from '../rpc/codec.ts'
import { Alive } from './alive.ts'
import { Announced, checkRegister } from './announced.ts'
import type { Place } from './announced.ts'
import { CallBook } from './call-book.ts'
import { RouteDispatcher } from './http/dispatcher.ts'
import { Pools } from './http/pools.ts'
import { ModeTable, noWords, readModeKey } from './modes/mode-table.ts'
import { ActiveModes } from './modes/active-modes.ts'
import { checkOptions, readAddress } from './options.ts'
import type { MeshLog, MeshOptions, Mode } from './options.ts'
import { SharedClient } from './rpc/client.ts'
import { AgentSource } from './sources/agent-source.ts'
import { readKept } from './sources/kept-file.ts'
import { KeptWriter } from './sources/kept-writer.ts'
import { NacosSource, nacosAdapter, serviceOf } from './sources/nacos-source.ts'
import type { NacosAdapter } from './sources/nacos-source.ts'
import type { MeshStatus, ServiceEndpoints, ActiveMode } from './status.ts'
import type { ProxyState } from './tiers/proxy.ts'
import { Proxies } from './tiers/proxies.ts'
import { Introduction } from './tiers/introduction.ts'
import { Routes } from './tiers/routes.ts'
import type { Route } from './tiers/routes.ts'
import type { Mesh, Registered, RegisterOptions, RpcClient } from './types.ts'

export interface MeshDeps {
  readonly clock: Clock
  readonly random: () => number
}

/** An agent that is away for less keeps the services in the mesh that are in mode `auto`, ms. */
const agentGraceMs = 60_000
/** Modes are looked at again so often, ms: a registry that comes or goes tells nobody. */
const reviewMs = 1000
/** A first call waits so long for the first word about its service, ms. */
const firstWordMs = 3000
const defaultOverlapMs = 15_000
const defaultMaxCalls = 10_000
/** Where the key of the mode lies in the registry. */
const modeGroup = 'HOSTMESH'

const silent: MeshLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

export class ApplicationMesh implements Mesh {
  readonly dispatcher: RouteDispatcher
  private readonly options: MeshOptions
  private readonly deps: MeshDeps
  private readonly log: MeshLog
  private readonly alive = new Alive()
  private readonly book: CallBook
  private readonly agent: AgentSource
  private readonly nacos: NacosSource | undefined
  private readonly proxies: Proxies
  private readonly routes: Routes
  private readonly pools: Pools
  private readonly introduction: Introduction
  private readonly modes: ModeTable
  private readonly activeModes: ActiveModes
  private readonly writer: KeptWriter
  private readonly registered = new Set<Announced>()
  private readonly clients = new Map<string, SharedClient>()
  private readonly listeners = new Set<() => void>()
  private face: { readonly address: string; readonly adapter: NacosAdapter } | undefined
  /** The newest good text, which is kept. */
  private modeKey: string | undefined
  private modeProblem: string | undefined
  private wasAgentUp = false
  /** Monotonic ms; undefined = it serves, or never did. */
  private agentLostAt: number | undefined
  private readonly stopReviews: () => void
  private isClosed = false

  constructor(options: MeshOptions, deps: MeshDeps = { clock: systemClock, random: Math.random }) {
    checkOptions(options)
    this.options = options
    this.deps = deps
    this.log = options.log ?? silent
    const { clock, random } = deps
    const file = join(options.dataDirectory, `${options.application}.hostmesh.json`)
    const kept = this.readKept(file)
    this.book = new CallBook(options.maxCalls ?? defaultMaxCalls, this.alive)
    this.modes = new ModeTable({ mode: options.mode, services: new Map(Object.entries(options.services ?? {})) })
    if (kept?.modeKey !== undefined) this.takeModeKey(kept.modeKey)
    this.agent = new AgentSource({
      clock,
      address: readAddress(options.agent ?? '127.0.0.1:15000')!,
      kept: kept?.agent,
      onChange: () => this.sourcesChanged(),
    })
    this.nacos =
      options.nacos === undefined
        ? undefined
        : new NacosSource({
            clock,
            random,
            log: this.log,
            options: options.nacos,
            kept: kept?.nacos ?? {},
            onChange: () => this.sourcesChanged(),
          })
    this.introduction = new Introduction({
      clock,
      application: options.application,
      secretFile: options.centerSecretFile,
      host: () => this.agent.host,
    })
    this.proxies = new Proxies({
      clock,
      introduction: this.introduction,
      codec: (name) => this.clients.get(name)?.codec,
      onChange: (proxy, kind) => {
        this.log[proxy.isUsable ? 'info' : 'warn'](
          { address: proxy.address, state: proxy.state },
          `${kind} ${proxy.address} is ${proxy.state}`,
        )
        this.proxiesChanged()
      },
    })
    this.routes = new Routes({ clock, random, agent: this.agent, nacos: this.nacos, proxies: this.proxies })
    this.pools = new Pools(this.introduction)
    this.writer = new KeptWriter({
      clock,
      file,
      log: this.log,
      take: () => ({ agent: this.agent.kept, nacos: this.nacos?.kept ?? kept?.nacos ?? {}, modeKey: this.modeKey }),
    })
    this.activeModes = new ActiveModes({
      clock,
      wanted: (name) => this.modes.wanted(name),
      automatic: () => this.automatic(),
      hasRegistry: this.nacos !== undefined,
      prepare: (name, mode) => this.prepare(name, mode),
      onLeft: (name, mode) => {
        if (mode === 'direct') this.nacos?.drop(name)
      },
      onChange: (name, activeMode) => {
        const where = activeMode === 'mesh' ? 'by the mesh' : 'directly'
        this.log.info({ service: name, activeMode }, `${name}: calls go ${where} now`)
        for (const one of this.registered) if (one.service === name) one.review()
        this.tell()
      },
    })
    this.dispatcher = new RouteDispatcher({
      clock,
      pools: this.pools,
      book: this.book,
      routes: (service) => this.routesOf(service, 'http'),
      refused: (route) => this.routes.refused(route),
    })
    this.nacos?.start()
    this.watchModeKey()
    this.agent.start()
    this.sourcesChanged()
    this.stopReviews = every(clock, reviewMs, () => this.activeModes.review())
  }

  readonly fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const withDispatcher: object = { ...init, dispatcher: this.dispatcher }
    return fetch(input, withDispatcher)
  }

  rpc(codec: RpcCodec): RpcClient {
    const present = this.clients.get(codec.name)
    if (present !== undefined) return present
    const made = new SharedClient(codec, {
      clock: this.deps.clock,
      book: this.book,
      routes: (service, protocol) => this.routesOf(service, protocol),
      refused: (route) => this.routes.refused(route),
      introduction: (service) => this.introduction.header(service, true),
    })
    this.clients.set(codec.name, made)
    return made
  }

  register(options: RegisterOptions): Registered {
    this.checkOpen()
    checkRegister(options)
    const { healthy, metadata, port, protocol, service, weight } = options
    const registration: Registration = {
      service: serviceOf(service, this.options.nacos ?? {}),
      address: options.address ?? ownAddress(),
      port,
      weight: weight ?? 1,
      cluster: options.cluster ?? 'DEFAULT',
      healthy: healthy ?? true,
      enabled: true,
      metadata: { ...metadata, ...(protocol === undefined ? {} : { [metadataKeys.protocol]: protocol }) },
    }
    const made = new Announced(service, registration, {
      clock: this.deps.clock,
      overlapMs: this.options.overlapMs ?? defaultOverlapMs,
      activeMode: (name) => this.activeModes.of(name),
      place: (mode) => this.place(mode),
      problemAt: (mode) => (mode === 'direct' ? this.nacos : this.face)?.adapter.status().problem?.message,
      onProblem: (message) => this.log.warn({}, message),
      onOver: (self) => void this.registered.delete(self),
    })
    this.registered.add(made)
    return made
  }

  subscribe(service: string, listener: (endpoints: ServiceEndpoints) => void): () => void {
    serviceOf(service, this.options.nacos ?? {})
    let last = ''
    const look = (): void => {
      const now = this.endpointsOf(service)
      const text = JSON.stringify(now)
      if (text === last) return
      last = text
      listener(now)
    }
    this.listeners.add(look)
    look()
    return () => void this.listeners.delete(look)
  }

  setMode(mode: Mode | undefined, service?: string): void {
    if (mode === 'direct' && this.nacos === undefined)
      throw new MeshError('E_CONFIG_INVALID', 'mode: direct needs the option nacos')
    this.modes.call(mode, service)
    this.activeModes.review()
  }

  async ready(): Promise<void> {
    this.alive.begin()
    try {
      await this.agent.whenHeard()
      const http = this.agent.host?.http
      if (typeof http === 'string') await this.until(() => this.proxies.agentProxy(http, 'http').state !== 'unknown')
    } finally {
      this.alive.end()
    }
  }

  status(): MeshStatus {
    return {
      calls: {
        active: this.book.active,
        failed: this.book.failed,
        refused: this.book.refused,
        repeated: this.book.repeated,
        served: { ...this.book.byTier },
      },
      agent: { isAnswering: this.agent.isAnswering, host: this.agent.host?.host },
      proxies: this.proxies.each().map(({ kind, proxy }) => ({ kind, address: proxy.address, state: proxy.state })),
      centerProblem: this.introduction.problem,
      services: this.activeModes.each().map((one) => ({ ...one, mode: this.modes.wanted(one.name) })),
      modeChanges: this.activeModes.changes,
      modeKeyProblem: this.modeProblem,
      registered: [...this.registered].map(({ service, state, activeMode, problem }) => ({
        service,
        state,
        activeMode,
        problem,
      })),
      registry: this.nacos?.state,
      fileProblem: this.writer.problem,
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await this.dispatcher.close()
    await Promise.all([...this.registered].map((one) => one.deregister()))
    this.stopReviews()
    this.activeModes.close()
    this.agent.close()
    this.proxies.close()
    for (const client of this.clients.values()) client.close()
    this.pools.close()
    await this.writer.close()
    await this.face?.adapter.close()
    await this.nacos?.close()
  }

  /**
   * Routes of a call that begins now. A service of which nothing was heard yet may have no more than the agent: when
   * that was of no help, or there is nothing at all, the first word about it is waited for.
   */
  private async *routesOf(service: string, protocol: string): AsyncGenerator<Route> {
    this.checkOpen()
    serviceOf(service, this.options.nacos ?? {})
    const mode = this.activeModes.of(service)
    const isHeard = (): boolean =>
      mode === 'direct'
        ? this.nacos?.isHeard(service) === true
        : this.agent.isAway || this.agent.service(service) !== undefined
    const tried = new Set<string>()
    for (let isLast = false; !isLast;) {
      isLast = isHeard()
      for (const route of this.routes.list(service, mode, protocol)) {
        const key = `${route.tier} ${route.address.host} ${route.address.port}`
        if (tried.has(key)) continue
        tried.add(key)
        yield route
      }
      if (isLast || this.isClosed || !(await this.until(isHeard))) return
    }
  }

  /** False when the time is over first. */
  private until(isTrue: () => boolean): Promise<boolean> {
    const { clock } = this.deps
    const deadline = clock.monotonic() + firstWordMs
    return new Promise((resolve) => {
      const look = (): void => {
        if (isTrue()) resolve(true)
        else if (this.isClosed || clock.monotonic() >= deadline) resolve(false)
        else clock.after(20, look)
      }
      look()
    })
  }

  /** undefined = the mode can serve. */
  private prepare(name: string, mode: ActiveMode): string | undefined {
    if (mode === 'direct') {
      if (this.nacos === undefined) return 'there is no registry'
      try {
        this.nacos.want(name)
      } catch (error) {
        return describeError(error)
      }
      if (!this.nacos.isHeard(name)) return this.nacos.state.problem ?? 'the registry has not answered yet'
      return this.nacos.endpoints(name).length === 0 ? 'the registry knows no endpoint' : undefined
    }
    const known = this.agent.service(name)
    if (this.agentState() !== 'up') return 'the agent does not answer'
    return known === undefined || known === null ? 'the agent knows nobody of that name' : undefined
  }

  /** The place, or why there is none now. */
  private place(mode: ActiveMode): Place | string {
    const { nacos } = this
    if (mode === 'direct') return nacos === undefined ? 'there is no registry' : (one) => nacos.register(one)
    const address = this.agent.host?.nacosFace
    if (address === undefined) return 'no agent has answered yet'
    if (address === null) return 'the agent of this host takes no registrations: nacosFace.enabled is off'
    if (this.face?.address !== address) {
      this.leaveFace()
      const { clock, random } = this.deps
      // the application's own password is nothing for the agent: the kernel tells it who asks
      const namespace = this.options.nacos?.namespace
      const options = { servers: [address], ...(namespace === undefined ? {} : { namespace }) }
      this.face = { address, adapter: nacosAdapter('agent', options, { clock, random, log: this.log }) }
      this.face.adapter.start()
    }
    const { adapter } = this.face
    return (one) => adapter.register(one)
  }

  private endpointsOf(service: string): ServiceEndpoints {
    const activeMode = this.activeModes.of(service)
    if (activeMode === 'mesh') {
      const known = this.agent.service(service)
      return { service, activeMode, isKnown: known !== undefined, endpoints: known?.endpoints ?? [] }
    }
    this.nacos?.want(service)
    const endpoints = (this.nacos?.endpoints(service) ?? []).map(({ address }) => address)
    return { service, activeMode, isKnown: this.nacos?.isHeard(service) === true, endpoints }
  }

  /**
   * Mode `auto`: the mesh while the agent serves and for a minute after; then the registry, if it answers; while
   * neither does, what the agent said before it died.
   */
  private automatic(): ActiveMode {
    const state = this.agentState()
    if (state === 'up' || (state === 'unknown' && this.agent.isAnswering)) return 'mesh'
    if (this.agent.host === undefined) return 'direct'
    const { agentLostAt } = this
    if (agentLostAt !== undefined && this.deps.clock.monotonic() - agentLostAt < agentGraceMs) return 'mesh'
    return this.nacos?.adapter.status().connected === true ? 'direct' : 'mesh'
  }

  private agentState(): ProxyState {
    const { host } = this.agent
    if (host === undefined) return 'unknown'
    if (host.http === null) return this.agent.isAnswering ? 'up' : 'down'
    return this.proxies.agentProxy(host.http, 'http').state
  }

  private proxiesChanged(): void {
    const isUp = this.agentState() === 'up'
    if (isUp) this.agentLostAt = undefined
    else if (this.wasAgentUp) this.agentLostAt = this.deps.clock.monotonic()
    this.wasAgentUp = isUp
    this.keepProxies()
    this.activeModes.review()
  }

  private sourcesChanged(): void {
    if (this.isClosed) return
    this.keepProxies()
    this.writer.changed()
    this.activeModes.review()
    const face = this.agent.host?.nacosFace
    if (this.face !== undefined && typeof face === 'string' && face !== this.face.address) this.leaveFace()
    for (const one of this.registered) one.review()
    this.tell()
  }

  /** The agent takes registrations elsewhere now: what it was told there is told anew. */
  private leaveFace(): void {
    const { face } = this
    this.face = undefined
    if (face === undefined) return
    for (const one of this.registered) one.forget('mesh')
    face.adapter.close().catch((error: unknown) => this.log.warn({}, describeError(error)))
  }

  private keepProxies(): void {
    const { host } = this.agent
    if (host === undefined) return
    const agents = [...(host.http === null ? [] : [host.http]), ...Object.values(host.rpc)]
    this.proxies.keep(agents, host.centers, this.agentState() === 'up')
  }

  /** What a listener throws is its own affair: it would be taken for a failure of whoever had the news. */
  private tell(): void {
    for (const look of this.listeners) {
      try {
        look()
      } catch (error) {
        this.log.error({}, `a listener of subscribe(): ${describeError(error)}`)
      }
    }
  }

  private checkOpen(): void {
    if (this.isClosed) throw new MeshError('E_OVERLOAD', 'the mesh of this application is closed')
  }

  private watchModeKey(): void {
    this.nacos?.adapter.config.watch(modeGroup, `sdk.${this.options.application}.json`, (document) => {
      this.takeModeKey(document?.content)
      this.writer.changed()
      this.activeModes.review()
    })
  }

  /** A key that cannot be read leaves the one before in force. */
  private takeModeKey(text: string | undefined): void {
    try {
      this.modes.takeKey(text === undefined ? noWords : readModeKey(text))
      this.modeKey = text
      this.modeProblem = undefined
    } catch (error) {
      this.modeProblem = describeError(error)
      const key = `${modeGroup}/sdk.${this.options.application}.json`
      this.log.error({}, `${key}: ${this.modeProblem}; the modes in force stay`)
    }
  }

  private readKept(file: string): ReturnType<typeof readKept> {
    try {
      return readKept(file)
    } catch (error) {
      this.log.warn({}, describeError(error))
      return undefined
    }
  }
}

function ownAddress(): string {
  for (const list of Object.values(networkInterfaces()))
    for (const one of list ?? []) if (!one.internal && one.family === 'IPv4') return one.address
  return '127.0.0.1'
}
