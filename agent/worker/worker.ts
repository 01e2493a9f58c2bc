import type { PeerIdentity } from '../../contracts/peer-identity.ts'
import type { ExplainRequest, ListenerProblem, StatsDump, WorkerQuestion } from '../../contracts/control-link.ts'
import { defaultLimits } from '../../contracts/snapshot.ts'
import type { LimitsSpec, Snapshot, SnapshotDelta } from '../../contracts/snapshot.ts'
import type { Signal } from '../../contracts/telemetry.ts'
import { KernelPipe } from '../../native/kernel-pipe.ts'
import { DialGuard } from './connect/dial-guard.ts'
import { Dialer } from './connect/dialer.ts'
import { RefusedApplications } from './connect/refused-applications.ts'
import { ActiveChecks } from './connect/active-checks.ts'
import { socketOptions } from './connect/socket-options.ts'
import { filterKinds, filterTable } from './filters/table.ts'
import { VerdictCounts } from './filters/verdict-counts.ts'
import { AttemptStore } from './forward/attempt-store.ts'
import { Exchange } from './forward/exchange.ts'
import { Mirrors } from './forward/mirrors.ts'
import type { DownstreamStream } from './forward/streams.ts'
import { ReplyChanges } from './forward/reply-edits.ts'
import { RequestChanges } from './forward/request-edits.ts'
import { RequestReports } from './forward/request-reports.ts'
import { askedRequest } from './protocols/http1/asked-request.ts'
import { explain } from './mesh/explain-sources.ts'
import { MeshState } from './mesh/mesh-state.ts'
import { ParkedNames } from './mesh/parked-names.ts'
import { StatePorter } from './handoff/state-porter.ts'
import { Acceptor } from './listen/acceptor.ts'
import { Adoption } from './listen/adoption.ts'
import { ListenerOwner } from '../../native/listener-owner.ts'
import { CallerIdentity } from './listen/caller-identity.ts'
import { CallerIntake } from './listen/caller-intake.ts'
import { probeContext } from './listen/listener-context.ts'
import { BoundListeners } from './listen/bound-listeners.ts'
import { ConnectionRows } from './listen/connection-rows.ts'
import { LiveTable } from './listen/live-table.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'
import { OwnListeners } from './listen/own-listeners.ts'
import { ProxyIntake } from './listen/proxy-intake.ts'
import { RelayAdmission } from './listen/relay-admission.ts'
import { RelayGate } from './listen/relay-gate.ts'
import { RelayIntake } from './listen/relay-intake.ts'
import { RelayProofs } from './listen/relay-proofs.ts'
import { AccessLog } from './observe/access-log.ts'
import { MemoryPressure } from './observe/memory-pressure.ts'
import { LoopLag } from './observe/loop-lag.ts'
import { MessageMetrics } from './observe/message-metrics.ts'
import { RequestMetrics } from './observe/request-metrics.ts'
import { statsDump } from './observe/stats-dump.ts'
import { Tallies } from './observe/tallies.ts'
import { Taps } from './observe/taps.ts'
import { TcpMetrics } from './observe/tcp-metrics.ts'
import { fineWallClock } from './observe/telemetry/fine-wall-clock.ts'
import { LogRecords } from './observe/telemetry/log-records.ts'
import { Outbox } from './observe/telemetry/outbox.ts'
import { SpanRecords } from './observe/telemetry/span-records.ts'
import { StringCache } from '../../http1/string-cache.ts'
import { protocolTable, upstreamCodecs } from './protocol-table.ts'
import { Http1Connection } from './protocols/http1/connection.ts'
import { Http1Settings } from './protocols/http1/deps.ts'
import { DownstreamStreams } from './protocols/http1/downstream-streams.ts'
import type { Http2Settings } from './protocols/http2/deps.ts'
import { http2Parts } from './protocols/http2/parts.ts'
import { UpstreamStreams } from './protocols/http1/upstream-streams.ts'
import { BulkMover, largestPortion } from './transport/bulk-flow.ts'
import { Clock } from './transport/clock.ts'
import { Output } from './transport/output.ts'
import { selectTransports } from './transport/select-transports.ts'
import type { SelectedTransports } from './transport/select-transports.ts'
import { processWakeUp, TimerWheel } from './transport/timer-wheel.ts'
import { noIdentity } from './transport/transport.ts'
import type { Transport, TransportListener, Transports } from './transport/transport.ts'
import type { WorkerOptions } from './worker-options.ts'

/** Clusters in use do their due work this often. */
const tickMs = 100
/** And callers that are not read are looked at for having given up. */
const ticksPerLook = 10

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
  readonly connections: Adoption
  readonly acceptor: Acceptor
  readonly transports: Transports
  /** Why these. */
  readonly transportReason: string
  readonly porter: StatePorter
  readonly tallies = new Tallies()
  private readonly verdicts: VerdictCounts
  private readonly options: WorkerOptions
  private readonly relays = new RelayAdmission()
  private readonly callers: CallerIdentity
  private readonly listenerOwner = new ListenerOwner()
  private readonly checks: ActiveChecks
  private readonly protocols: ProtocolTable
  private readonly live = new LiveTable()
  private readonly metrics: RequestMetrics
  private readonly messages = new MessageMetrics()
  private readonly tcpMetrics: TcpMetrics
  private readonly accessLog: AccessLog
  private readonly reports: RequestReports
  private readonly taps: Taps
  private readonly rows: ConnectionRows
  private readonly spanOutbox: Outbox
  private readonly logOutbox: Outbox
  private readonly mirrors: Mirrors
  private readonly http1: Http1Settings
  private readonly http2: Http2Settings
  private readonly downstream: DownstreamStreams
  private readonly upstream: UpstreamStreams
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
    const { filterKinds: kinds = filterKinds, random } = options
    const verdicts = new VerdictCounts(kinds)
    this.verdicts = verdicts
    const clock = new Clock(() => performance.now())
    this.clock = clock
    const now = (): number => clock.now
    const fresh = (): number => clock.refresh()
    const wheel = new TimerWheel(fresh, processWakeUp())
    const warn = (message: string): void => options.log('warn', message)
    const refused = new RefusedApplications({
      isOwn: (address) => address.startsWith('127.') || address === '::1' || address === this.state.node.address,
      now,
      tell: options.tellRefused,
    })
    const ownListeners = new OwnListeners({
      specs: () => [...this.listeners.list()].map(({ socket, spec }) => ({ ...spec, port: socket.port })),
      revision: () => this.listeners.revision,
      now,
    })
    const guard = new DialGuard({
      own: ownListeners,
      isTcp: (service) => this.state.service(service)?.protocol === 'tcp',
      uidOfListener: (address, port) => this.listenerOwner.uidOf({ address, port }),
      tallies,
      warn,
      now,
    })
    const dialer = new Dialer({
      transports,
      wheel,
      clock,
      socketOptions: socketOptions(warn),
      onRefused: (address, port) => refused.note(address, port),
      refusal: (address, port, service) => guard.refusal(address, port, service),
    })
    const strings = new StringCache()
    const settings = new Http1Settings(strings, defaultLimits, 'hostmesh', 'agent')
    const http1 = { clock, wheel, output, bulk, strings, tallies, settings }
    const upstreamStreams = new UpstreamStreams(http1)
    const http2 = http2Parts({ clock, wheel, tallies, debug: (message) => options.log('debug', message) })
    const codecs = upstreamCodecs(upstreamStreams, http2)
    const state = new MeshState(
      {
        pools: { dialer, wheel, clock, codecs },
        random,
        now: fresh,
        limitShare: 1 / options.workers,
        filters: filterTable(kinds, tallies, verdicts),
      },
      {
        onListeners: (changed) => {
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
    this.parked = parked
    this.metrics = new RequestMetrics(now)
    this.tcpMetrics = new TcpMetrics(now)
    const outbox = (signal: Signal, onDropped: (count: number) => void): Outbox =>
      new Outbox({ signal, send: (bytes, done) => options.sendTelemetry?.(signal, bytes, done) ?? false, onDropped })
    this.spanOutbox = outbox('traces', (count) => (tallies.droppedSpans += count))
    this.logOutbox = outbox('logs', (count) => (tallies.droppedLogRecords += count))
    const wallClock = fineWallClock(Date.now, () => performance.now())
    const records = new LogRecords(this.logOutbox, wallClock)
    this.accessLog = new AccessLog({ random, wallClock: Date.now, tallies, records, warn })
    const { accessLog, messages, metrics, tcpMetrics } = this
    const mesh = state
    const spans = new SpanRecords(this.spanOutbox, wallClock)
    this.taps = new Taps({ now: fresh, wallClock: Date.now, tallies })
    const { taps } = this
    this.reports = new RequestReports({ clock, mesh, random, tallies, accessLog, spans, taps })
    const { reports } = this
    const requestChanges = new RequestChanges(random)
    const mirrors = new Mirrors({ clock, wheel, random, mesh, requestChanges })
    const attempts = new AttemptStore({ clock, wheel, tallies })
    const tcp = { clock, wheel, output, bulk, live, random, mesh, dialer, tallies, tcpMetrics, accessLog }
    const exchange = {
      ...tcp,
      reports,
      parked,
      messages,
      metrics,
      mirrors,
      attempts,
      requestChanges,
      replyChanges: new ReplyChanges(),
    }
    const openExchange = (stream: DownstreamStream): Exchange => new Exchange(exchange, stream)
    const downstreamStreams = new DownstreamStreams(http1, openExchange)
    this.mirrors = mirrors
    this.http1 = settings
    this.upstream = upstreamStreams
    this.downstream = downstreamStreams
    const limits = (): LimitsSpec => state.limits
    this.http2 = http2.settings
    const shareOf = (transport: Transport, identity: PeerIdentity): string => this.callers.shareOf(transport, identity)
    const caller = { live, shareOf, openExchange }
    const protocols = protocolTable({ ...http1, ...caller, streams: downstreamStreams }, { ...http2, ...caller }, tcp)
    const pressure = new MemoryPressure({
      resident: () => process.memoryUsage.rss(),
      allowed: () => state.mesh.maxMemoryBytes,
    })
    this.acceptor = new Acceptor({
      isShortOfMemory: () => pressure.isHigh,
      makeRoom: () => live.makeRoom(),
      clock,
      tallies,
      limits,
      steps: [
        new RelayGate(tallies),
        new ProxyIntake({ wheel, clock, limits, tallies }),
        new RelayProofs({ tallies, log: options.log, wallClock: Date.now, now }),
        new RelayIntake({
          wheel,
          clock,
          limits,
          tallies,
          output,
          parked,
          relays: this.relays,
          tier: () => state.node.tier,
          service: (key) => state.service(key),
        }),
        new CallerIntake({ callers: this.callers, clock, mesh: () => state.mesh }),
      ],
      protocols,
    })
    this.listeners = new BoundListeners({
      transports,
      isShared: options.sharesPorts,
      isOurs: options.isOurs,
      log: options.log,
      onBound: options.onBound,
      onRemoved: options.onRemoved,
      onRetried: options.onRetried,
      onAccept: (transport, bound) => this.acceptor.accept(transport, bound.spec, bound.context, bound.count),
    })
    const { acceptor, listeners, relays } = this
    const { closeDescriptor } = options
    this.protocols = protocols
    const table = { live, state, protocols, listeners, acceptor, relays }
    this.connections = new Adoption({ ...table, clock, transports, closeDescriptor })
    this.rows = new ConnectionRows(live, now, process.pid)
    this.porter = new StatePorter({ clock, state, messages, metrics, tcpMetrics, tallies, verdicts })
    this.checks = new ActiveChecks({ clock, wheel, random, state }, transports)
    let ticks = 0
    this.ticker = setInterval(() => {
      clock.refresh()
      if (++ticks % ticksPerLook === 0) lookForEnds(live)
      for (const upstream of state.everyUpstream()) upstream.cluster.tick(clock.now)
      this.checks.tick(clock.now)
      pressure.look(clock.now)
    }, tickMs)
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
    const count = { connections: 0 }
    const options = { address: '127.0.0.1', port: 0, backlog: 8, reusePort: false }
    const socket = await this.transports.listen(options, (transport) => {
      const acceptedAt = this.clock.refresh()
      const listener = probeContext(socket.port)
      const onEnd = this.acceptor.counted(count)
      const accepted = { listener, proxy: null, source: undefined, identity: noIdentity, acceptedAt, onEnd }
      this.protocols.http1.begin!(accepted, transport, null)
    })
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
      case 'explain':
        return this.explain(question.request)
      case 'log-level':
        this.options.setLogLevel(question.level)
        return null
      case 'reset-counters':
        this.metrics.reset()
        this.messages.reset()
        this.tcpMetrics.reset()
        this.tallies.reset()
        return null
      case 'drain-listeners':
        this.drainListeners(question.inboundOnly)
        return null
      case 'undrain-listeners':
        void this.listeners.reopen()
        return null
      case 'tap':
        return this.taps.ask(question.id, question.filter)
      case 'connections':
        return this.rows.list(question.filter)
      case 'close-connections':
        return this.rows.close(question.filter, question.how)
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
    return explain(this.state, this.clock.now, request, askedRequest)
  }

  stats(): StatsDump {
    const { acceptor, bulk, lag, live, metrics, mirrors, parked, relays, startedAt, state, tallies } = this
    const { messages, tcpMetrics, verdicts } = this
    const { kind: transport } = this.transports
    const counts = { messages, metrics, tcpMetrics, tallies, verdicts, mirrors, bulk, live, parked }
    return statsDump({ ...counts, state, acceptor, lag, relays, startedAt, transport })
  }

  /** After a rotation of the access log. */
  reopenLogs(): void {
    this.accessLog.reopen()
  }

  /** Sends what waits of logs, spans and records. */
  flushReports(): void {
    this.accessLog.flush()
    this.spanOutbox.flush()
    this.logOutbox.flush()
  }

  /** Closes our copies of the listening sockets; connections stay. */
  stopAccepting(): void {
    this.listeners.stop()
    this.callers.close()
    this.listenerOwner.close()
    for (const probe of this.probes) probe.close()
  }

  /** Ends everything at once. */
  close(): void {
    this.stopAccepting()
    clearInterval(this.ticker)
    this.lag.stop()
    this.checks.close()
    for (const connection of this.connections.list()) connection.abort()
    for (const upstream of this.state.everyUpstream()) upstream.pools.close()
    this.accessLog.close()
    this.spanOutbox.close()
    this.logOutbox.close()
    this.bulk.close()
  }

  private takeSettings(): void {
    const { limits, mesh, node, pseudonym } = this.state
    this.accessLog.configure(mesh.accessLog, node.host)
    this.reports.configure(mesh.tracing)
    if (mesh.tracing.isExported !== true) this.spanOutbox.close()
    if (mesh.accessLog.isExported !== true) this.logOutbox.close()
    this.http1.take(limits, pseudonym, node.tier)
    this.http2.take(limits, pseudonym, node.tier)
    // What is kept was made for the old bounds on fields.
    this.downstream.clear()
    this.upstream.clear()
  }
}

function lookForEnds(live: LiveTable): void {
  for (const connection of live.all()) if (connection instanceof Http1Connection) connection.lookForEnd()
}
