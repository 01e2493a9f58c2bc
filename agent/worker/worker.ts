import type { ExplainRequest, ListenerProblem, StatsDump, WorkerQuestion } from '../../contracts/control-link.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import { quotaKey } from '../../contracts/quota-key.ts'
import type { GoldenSignals } from '../../contracts/canary.ts'
import { defaultLimits } from '../../contracts/snapshot.ts'
import type { LimitsSpec, Snapshot, SnapshotDelta } from '../../contracts/snapshot.ts'
import { countsPasses } from '../../contracts/protocols.ts'
import { KernelPipe } from '../../native/kernel-pipe.ts'
import { DialGuard } from './connect/dial-guard.ts'
import { Dialer } from './connect/dialer.ts'
import { RefusedApplications } from './connect/refused-applications.ts'
import { intakeSteps } from './intake-steps.ts'
import { Reporting } from './reporting.ts'
import { ActiveChecks } from './connect/active-checks.ts'
import { socketOptions } from './connect/socket-options.ts'
import { lookMs } from './callers/load-shedder.ts'
import { WorkerCallers } from './callers/worker-callers.ts'
import { DryRuns } from './dry-run/dry-runs.ts'
import { attemptStore } from './forward/attempt.ts'
import { Exchange } from './forward/exchange.ts'
import { Mirrors } from './forward/mirrors.ts'
import type { DownstreamStream } from './forward/streams.ts'
import { ReplyChanges } from './forward/reply-edits.ts'
import { RequestChanges } from './forward/request-edits.ts'
import { ServiceCalls } from './forward/service-calls.ts'
import { askedRequest } from './protocols/http1/asked-request.ts'
import type * as ExplainSources from './mesh/explain-sources.ts'
import { fallbackService, MeshState } from './mesh/mesh-state.ts'
import { ParkedNames } from './mesh/parked-names.ts'
import { Troubles } from './mesh/troubles.ts'
import { StatePorter } from './handoff/state-porter.ts'
import { Acceptor } from './listen/acceptor.ts'
import { MovableConnections } from './listen/movable-connections.ts'
import { ListenerOwner } from '../../native/listener-owner.ts'
import { UnixSockets } from '../../native/unix-sockets.ts'
import { CallerIdentity } from './listen/caller-identity.ts'
import { cutDenied } from './listen/denied-hosts.ts'
import { probeListener } from './listen/probe-listener.ts'
import { BoundListeners } from './listen/bound-listeners.ts'
import { InHand } from './listen/in-hand.ts'
import { LiveTable } from './listen/live-table.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'
import { ownListeners } from './listen/own-listeners.ts'
import { CallerShares, isOf } from './listen/caller-shares.ts'
import { RelayAdmission } from './listen/relay-admission.ts'
import { goldenSignals } from './observe/golden-signals.ts'
import { LoopLag } from './observe/loop-lag.ts'
import { MessageMetrics } from './observe/message-metrics.ts'
import { RequestMetrics } from './observe/request-metrics.ts'
import { statsDump } from './observe/stats-dump.ts'
import { Tallies } from './observe/tallies.ts'
import { TcpMetrics } from './observe/tcp-metrics.ts'
import { StringCache } from '../../http1/string-cache.ts'
import { Kinds } from './kinds.ts'
import { lazily } from './lazily.ts'
import { cohortsOf, protocolTable, upstreamCodecs } from './protocol-table.ts'
import { Http1Settings } from './protocols/http1/deps.ts'
import { http1DownstreamStreams } from './protocols/http1/downstream-stream.ts'
import { http1UpstreamStreams } from './protocols/http1/upstream-stream.ts'
import { BulkMover, largestPortion } from './transport/bulk-flow.ts'
import { Clock } from './transport/clock.ts'
import { Output } from './transport/output.ts'
import { OutputPool } from './transport/output-pool.ts'
import { Tls } from './transport/tls/open-tls.ts'
import { selectTransports } from './transport/select-transports.ts'
import type { SelectedTransports } from './transport/select-transports.ts'
import { processWakeUp, TimerWheel } from './transport/timer-wheel.ts'
import { noIdentity } from './transport/transport.ts'
import type { Transport, TransportListener, Transports } from './transport/transport.ts'
import { UdpPlane } from './udp/udp-plane.ts'
import { WorkerFilters } from './worker-filters.ts'
import type { WorkerOptions } from './worker-options.ts'

/** And callers that are not read are looked at for having given up. */
const ticksPerLook = 10

const loadExplain = lazily<typeof ExplainSources>(import.meta.url, './mesh/explain-sources', 'hostmesh explain')

/**
 * The data plane of one process, without its links to others: listeners, exchanges, destinations, metrics. Makes the
 * parts and hands each what it needs. `start.ts` connects it to control and watchdog; tests and benchmarks drive it
 * directly. Close it with `close()`; nothing keeps the process alive afterwards.
 */
export class Worker {
  readonly clock: Clock
  readonly state: MeshState
  readonly parked: ParkedNames
  readonly output: Output
  readonly bulk: BulkMover
  readonly listeners: BoundListeners
  readonly connections: MovableConnections
  readonly acceptor: Acceptor
  readonly transports: Transports
  /** Why these. */
  readonly transportReason: string
  readonly porter: StatePorter
  readonly tallies = new Tallies()
  readonly tls: Tls
  readonly udp: UdpPlane
  readonly filters: WorkerFilters
  private readonly options: WorkerOptions
  private readonly relays = new RelayAdmission()
  private readonly callers: CallerIdentity
  private readonly shared: WorkerCallers
  private readonly listenerOwner = new ListenerOwner()
  private readonly checks: ActiveChecks
  readonly troubles: Troubles
  readonly protocols: ProtocolTable
  private readonly live = new LiveTable()
  private readonly metrics: RequestMetrics
  private readonly messages = new MessageMetrics()
  private readonly tcpMetrics: TcpMetrics
  private readonly reporting: Reporting
  private readonly inHand: InHand
  private readonly dryRuns: DryRuns
  private readonly mirrors: Mirrors
  private readonly http1: Http1Settings
  private readonly kinds: Kinds
  /** Made for the bounds on fields that are in force. */
  private readonly boundStreams: readonly { clear(): void }[]
  private readonly lag = new LoopLag()
  private readonly ticker: NodeJS.Timeout
  private readonly probes: TransportListener[] = []
  private readonly startedAt = Date.now()
  canListen = false

  static async create(options: WorkerOptions): Promise<Worker> {
    const output = new Output()
    const { log, transports, trial, wantedTransport: wanted = 'raw' } = options
    const made = await transports?.(output)
    if (made !== undefined) return new Worker(options, { transports: made, reason: 'handed in' }, output)
    const nodeVersion = process.versions.node
    const untried = async (): Promise<string> => 'not tried'
    return new Worker(
      options,
      await selectTransports({ output, wanted, nodeVersion, trial: trial ?? untried, log }),
      output,
    )
  }

  private constructor(options: WorkerOptions, selected: SelectedTransports, output: Output) {
    const { transports } = selected
    this.options = options
    this.transports = transports
    this.transportReason = selected.reason
    this.output = output
    const bulk = new BulkMover(KernelPipe.open(largestPortion, transports.calls))
    this.bulk = bulk
    const { live, tallies } = this
    const clock = new Clock(() => performance.now())
    this.clock = clock
    const now = (): number => clock.now
    const fresh = (): number => clock.refresh()
    const wheel = new TimerWheel(fresh, processWakeUp())
    const tls = new Tls({ transports, wheel, clock, log: options.log })
    this.tls = tls
    const warn = (message: string): void => options.log('warn', message)
    const { random } = options
    const calls = new ServiceCalls({ clock, wheel, random, mesh: { upstream: (key) => this.state.upstream(key) } })
    const filters = new WorkerFilters({ calls, warn, now, options })
    this.filters = filters
    const refused = new RefusedApplications({
      isOwn: (address) => isLoopback(address) || address === this.state.node.address,
      now,
      tell: options.tellRefused,
    })
    const ownOf = (takesThem: boolean): ReturnType<typeof ownListeners> =>
      ownListeners(() => this.listeners, now, takesThem)
    const ownUdp = ownOf(true)
    const guard = new DialGuard({
      own: ownOf(false),
      // what a caller names must not come in again as a call of the agent's own user
      countsPasses: (service) => service !== fallbackService && countsPasses(this.state.service(service)?.protocol),
      uidOfListener: (address, port) => this.listenerOwner.uidOf({ address, port }),
      tallies,
      warn,
      now,
    })
    const dialer = new Dialer({
      transports,
      handshakes: tls.handshakes,
      identities: tls.identities,
      wheel,
      clock,
      socketOptions: socketOptions(warn),
      onRefused: (address, port) => refused.note(address, port),
      refusal: (address, port, service, isRaw) => guard.refusal(address, port, service, isRaw),
    })
    const strings = new StringCache()
    const settings = new Http1Settings(strings, defaultLimits, 'hostmesh', 'agent')
    const http1 = { clock, wheel, output, bulk, strings, tallies, settings }
    const upstreamStreams = http1UpstreamStreams(http1)
    const kinds: Kinds = new Kinds(() => lateParts)
    this.kinds = kinds
    const codecs = upstreamCodecs(upstreamStreams, kinds)
    const state = new MeshState(
      {
        pools: { dialer, wheel, clock, codecs },
        random,
        now: fresh,
        limitShare: 1 / options.workers,
        kinds,
        filters: filters.table(tallies),
      },
      {
        onListeners: (changed) => {
          const cut = cutDenied(live, changed)
          if (cut > 0) warn(`${cut} relayed connections cut: the authority denies their hosts`)
          if (this.canListen) void this.listeners.apply(changed)
        },
        onSettings: () => this.takeSettings(),
        onNames: () => this.parked.answered(),
      },
    )
    const parked = new ParkedNames({
      wheel,
      now: fresh,
      tallies,
      limits: () => state.limits,
      ask: options.ask,
      isAnswered: (name) => state.names.findName(name) !== undefined,
      isKnown: (name) => (state.names.findName(name) ?? null) !== null,
    })
    this.callers = new CallerIdentity(fresh)
    this.state = state
    this.dryRuns = new DryRuns({
      random,
      now: fresh,
      limitShare: 1 / options.workers,
      filterKinds: () => filters.quietKinds(),
      service: (key) => state.service(key),
    })
    this.parked = parked
    this.metrics = new RequestMetrics(now)
    this.tcpMetrics = new TcpMetrics(now)
    const mesh = state
    this.reporting = new Reporting({ clock, mesh, random, tallies, send: options.sendTelemetry, warn })
    const { messages, metrics, tcpMetrics } = this
    const { accessLog, requests: reports } = this.reporting
    const requestChanges = new RequestChanges(random)
    const mirrors = new Mirrors({ clock, wheel, random, mesh, requestChanges })
    const attempts = attemptStore({ clock, wheel, tallies })
    const shared = new WorkerCallers({
      now,
      random,
      warn,
      identity: this.callers,
      memoryAllowed: () => state.mesh.maxMemoryBytes,
      mostWaiting: () => state.limits.maxConnections,
    })
    const { accountOf, refusals, shedder, turns } = shared
    this.shared = shared
    const tcp = { clock, wheel, output, bulk, live, random, mesh, dialer, tallies, tcpMetrics, accessLog, accountOf }
    const exchange = {
      ...tcp,
      refusals,
      shedder,
      turns,
      reports,
      parked,
      messages,
      metrics,
      mirrors,
      attempts,
      requestChanges,
      replyChanges: new ReplyChanges(),
      dryRun: this.dryRuns,
    }
    const openExchange = (stream: DownstreamStream): Exchange => new Exchange(exchange, stream)
    const downstreamStreams = http1DownstreamStreams(http1, openExchange)
    this.mirrors = mirrors
    this.http1 = settings
    this.boundStreams = [upstreamStreams, downstreamStreams]
    const limits = (): LimitsSpec => state.limits
    const caller = { live, accountOf, openExchange }
    const protocols = protocolTable({ ...http1, ...caller, streams: downstreamStreams }, kinds, tcp, warn)
    const outputs = new OutputPool(setImmediate)
    const debug = (message: string): void => options.log('debug', message)
    const lateParts = {
      ...caller,
      clock,
      debug,
      outputs,
      state,
      tallies,
      tls,
      warn,
      wheel,
      beginHttp1: protocols.http1.begin!,
    }
    const callerOf = (transport: Transport): string => quotaKey(this.callers.shareOf(transport, noIdentity))
    const base = { clock, now, output, parked, strings, tallies, wheel }
    this.acceptor = new Acceptor({
      isShortOfMemory: () => shared.pressure.isHigh,
      makeRoom: (caller) =>
        live.makeRoom(caller === undefined ? undefined : (connection) => isOf(connection, caller, callerOf)),
      shares: new CallerShares({ log: options.log, now }),
      callerOf,
      clock,
      tallies,
      limits,
      steps: intakeSteps({ ...base, callers: this.callers, log: options.log, relays: this.relays, state, tls }),
      protocols,
    })
    const unixSockets = UnixSockets.open()
    const served = { limits, warn, calls: transports.calls, turns: options.readTurns }
    this.udp = new UdpPlane({
      ...tcp,
      ...served,
      shard: options.index ?? 0,
      bound: (name) => this.listeners.find(name),
      leadsBack: (address, port, service) => ownUdp.leadsBack(address, port, service),
    })
    this.listeners = new BoundListeners({
      transports,
      datagrams: this.udp,
      isShared: options.sharesPorts,
      unixSockets,
      listensAtPaths: options.listensAtPaths ?? true,
      isOurs: options.isOurs,
      log: options.log,
      onBound: options.onBound,
      onRemoved: options.onRemoved,
      onRetried: options.onRetried,
      onAccept: (transport, bound) => this.acceptor.accept(transport, bound.spec, bound.context, bound.count),
    })
    const { acceptor, listeners, relays, udp } = this
    const { closeDescriptor } = options
    this.protocols = protocols
    const cohorts = cohortsOf(kinds)
    const table = { live, state, protocols, cohorts, listeners, acceptor, relays, unixSockets, datagrams: udp }
    this.connections = new MovableConnections({ ...table, clock, transports: tls, closeDescriptor })
    this.inHand = new InHand({ live: { all: () => this.connections.list() }, now, pid: process.pid })
    const counted = { messages, metrics, tcpMetrics, tallies, filters, tls: tls.counts, udp: udp.counts }
    this.porter = new StatePorter({ clock, state, ...counted })
    this.checks = new ActiveChecks({ clock, wheel, random, state, dialer })
    this.troubles = new Troubles(options.tellTroubles)
    let ticks = 0
    this.ticker = setInterval(() => {
      clock.refresh()
      if (++ticks % ticksPerLook === 0) {
        for (const connection of live.all()) connection.lookForEnd?.()
      }
      for (const upstream of state.everyUpstream()) upstream.cluster.tick(clock.now)
      if (ticks % ticksPerLook === 0) this.troubles.look(state.everyUpstream())
      this.checks.tick(clock.now)
      shared.look(clock.now)
      this.reporting.taps.look()
    }, lookMs)
    this.ticker.unref()
    this.lag.start()
  }

  /** Takes a whole snapshot; see `MeshState.load`. Listeners are bound from `listen()` on. */
  load(snapshot: Snapshot): void {
    this.clock.refresh()
    this.state.load(snapshot)
  }

  apply(delta: SnapshotDelta): void {
    this.clock.refresh()
    this.state.apply(delta)
  }

  /** Binds every listener of the snapshot, and follows its changes. Resolves when each is bound or has failed. */
  async listen(): Promise<void> {
    this.canListen = true
    await this.listeners.apply(new Map(this.state.listeners))
  }

  /**
   * A listener for the watchdog's proof: through accept, codec and reply code, without any listener of the snapshot.
   */
  async listenForProbes(): Promise<{ address: string; port: number }> {
    const socket = await probeListener(this)
    this.probes.push(socket)
    return { address: socket.address, port: socket.port }
  }

  async problems(): Promise<readonly ListenerProblem[]> {
    await this.listeners.settled()
    return this.listeners.problems()
  }

  answer(question: WorkerQuestion): unknown {
    const { clock, state } = this
    clock.refresh()
    switch (question.kind) {
      case 'stats':
        return this.stats()
      case 'clusters':
        return [...state.everyUpstream()].map((upstream) => upstream.dump(clock.now))
      case 'listeners':
        return this.listeners.dump()
      case 'filters':
        return this.filters.userFilters.dumps()
      case 'explain':
        return this.explain(question.request)
      case 'log-level':
        this.options.setLogLevel(question.level)
        return null
      case 'reset-counters':
        for (const { table } of [this.metrics, this.messages, this.tcpMetrics]) table.clear()
        for (const one of [this.tallies, this.udp.counts]) one.reset()
        return null
      case 'drain-listeners':
        this.drainListeners(question.inboundOnly)
        return null
      case 'undrain-listeners':
        void this.listeners.reopen()
        return null
      case 'tap':
        return this.reporting.taps.ask(question.id, question.filter)
      case 'connections':
      case 'close-connections':
      case 'streams':
      case 'close-streams':
        return this.inHand.answer(question)
      case 'begin-dry-run':
      case 'dry-run':
      case 'end-dry-run':
        return this.dryRuns.answer(question)
      case 'reopen-logs':
        this.reopenLogs()
        return null
    }
  }

  /** New connections are refused, HTTP callers are told to close with their next answer, TCP connections go on. */
  private drainListeners(inboundOnly: boolean): void {
    const drained = new Set(this.listeners.closeThose((bound) => !inboundOnly || bound.spec.kind === 'inbound'))
    for (const connection of this.connections.list()) {
      if (drained.has(connection.listener)) connection.drain()
    }
  }

  explain(request: ExplainRequest): unknown {
    return loadExplain().explain(this.state, this.clock.now, request, askedRequest)
  }

  stats(): StatsDump {
    const { acceptor, bulk, lag, live, metrics, mirrors, parked, relays, startedAt, state, tallies } = this
    const { filters, inHand, shared: callers, messages, tcpMetrics, udp } = this
    const tls = this.tls.counts
    const counts = { messages, metrics, tcpMetrics, tallies, filters, mirrors, bulk, live, parked, tls, udp }
    const { kind: transport } = this.transports
    return statsDump({ ...counts, callers, inHand, state, acceptor, lag, relays, startedAt, transport })
  }

  /** Since the start of this process, and what it took over from predecessors. */
  goldenSignals(): GoldenSignals {
    return goldenSignals(this.metrics, this.tcpMetrics)
  }

  /** Some connection carried something before the last ping of the watchdog. */
  get isCarrying(): boolean {
    return this.live.active > 0
  }

  /** After a rotation of the access log. */
  reopenLogs(): void {
    this.reporting.reopen()
  }

  /** Behind `close`: resolves when the last lines of the access log are written, after `ms` in any case. */
  logWritten(ms: number): Promise<void> {
    return this.reporting.accessLog.written(ms)
  }

  /** Closes our copies of the listening sockets; connections stay. */
  stopAccepting(): void {
    this.shared.refusals.areHeldBack = false
    this.listeners.stop()
    this.callers.close()
    this.listenerOwner.close()
    for (const probe of this.probes) probe.close()
  }

  /** Ends everything at once; what was recorded of it is sent. */
  close(): void {
    this.stopAccepting()
    clearInterval(this.ticker)
    this.lag.stop()
    this.checks.close()
    this.filters.userFilters.close()
    for (const connection of this.connections.list()) connection.abort()
    for (const upstream of this.state.everyUpstream()) upstream.pools.close()
    for (const one of [this.udp, this.reporting, this.bulk]) one.close()
  }

  private takeSettings(): void {
    const { limits, mesh, node, pseudonym } = this.state
    this.filters.userFilters.take(mesh.userFilters ?? [])
    this.reporting.configure(mesh, node.host)
    this.http1.take(limits, pseudonym, node.tier)
    this.kinds.takeSettings()
    for (const streams of this.boundStreams) streams.clear()
  }
}
