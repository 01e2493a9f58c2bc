/**
 * Control, put together: configuration, rules, registries, local applications and workers in; snapshot, registrations, state files out.
 *
 * Everything it needs is handed in, so a test runs it without a process. One turn of the loop collects all changes into one delta. Nothing here waits for a registry, a disk or a worker.
 */
import { join } from 'node:path'
import type { EndpointSet, ServiceKey } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { relayTargetsFormat } from '../../contracts/relay-targets.ts'
import { runFiles, stateFiles } from '../../contracts/run-directory.ts'
import { snapshotFormat, type MeshSpec, type NodeSpec } from '../../contracts/snapshot.ts'
import type { Clock } from './clock.ts'
import type { CheckResult } from './config/check.ts'
import { formatProblem, type ConfigProblem } from './config/problem.ts'
import { sourceAppsByUid } from './host/applications/source-apps.ts'
import type { AgentConfig, ApplicationConfig } from './config/types.ts'
import { DeclaredServices } from './core/endpoints/declared.ts'
import { EndpointDirectory } from './core/endpoints/directory.ts'
import { LocalApplications } from './host/applications/local-applications.ts'
import { kindOf } from './kinds/registries.ts'
import type { Log } from './log.ts'
import { HostReadiness } from './host/readiness.ts'
import type { ControlMetrics } from './observe.ts'
import { OutboundServices } from './host/listeners/outbound-services.ts'
import { liveConfig, restartNeeded } from './config/restart-needed.ts'
import type { Application, CheckSpec } from './host/applications/application.ts'
import type { ProbeTarget } from './host/applications/probe.ts'
import { Registrar } from './host/applications/registrar.ts'
import { readRuleFiles } from './config/rule-files.ts'
import type { EntrySetBuilder, RuleDocument, Rules } from './core/rules/types.ts'
import { Compiler } from './core/snapshot/compiler.ts'
import { Listeners, inboundListener, inboundNamespace } from './host/listeners/listeners.ts'
import { keptRegistrations, lastRun, rememberedPorts, type OpenService } from './core/snapshot/last-run.ts'
import { Names } from './core/snapshot/names.ts'
import { Publisher } from './core/snapshot/publisher.ts'
import { centerOrder, relayTargets } from './core/snapshot/relay-targets.ts'
import { SnapshotStore } from './core/snapshot/store.ts'
import { StateDirectory } from './core/state/state-directory.ts'

export interface ControlDeps {
  readonly config: AgentConfig
  readonly applications: readonly ApplicationConfig[]
  readonly problems: readonly ConfigProblem[]
  readonly generation: number
  /** Not started yet; control starts and closes them. In order of precedence. */
  readonly adapters: readonly RegistryAdapter[]
  readonly rules: Rules
  readonly entrySet: EntrySetBuilder
  readonly resolve: (host: string) => Promise<readonly string[]>
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  readonly uidOf: (name: string) => number | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: ControlMetrics
  /** Reads the files again. */
  readonly check: () => CheckResult
}

/** How long a localhost port of the last run waits for somebody to ask for it; clients of the face come back within seconds, those that poll within half a minute. */
const reopenedMs = 60_000
const portsFormat = 1
const registrationsFormat = 1
const rulesFormat = 1
/** A worker that starts while control is down serves what is on disk: it may be this old, ms. Large files are written less often (`pauseFactor`). */
const snapshotDelayMs = 100

export class Control {
  readonly deps: ControlDeps
  readonly store: SnapshotStore
  readonly compiler: Compiler
  readonly directory: EndpointDirectory
  readonly names: Names
  readonly listeners: Listeners
  readonly publisher: Publisher
  readonly readiness: HostReadiness
  readonly registrar: Registrar
  readonly applications: LocalApplications
  readonly outbound: OutboundServices
  readonly state: StateDirectory
  private readonly declared: DeclaredServices
  private configNow: AgentConfig
  private problemsNow: readonly ConfigProblem[]
  private restartNeededNow: readonly string[] = []
  private readonly endpointListeners = new Set<(set: EndpointSet) => void>()
  private readonly answerListeners = new Set<(key: ServiceKey) => void>()
  private readonly neededListeners = new Set<(key: ServiceKey) => void>()
  private readonly workerListeners = new Set<() => void>()
  private flushing: NodeJS.Immediate | undefined
  private isLeadingNow = false
  private isClosed = false
  private isStarted = false
  private readonly lastRules = new Map<string, object>()
  /** Names that callers used before the restart, asked for again at the start. */
  private lastNames: readonly string[]
  /** Localhost ports of the last run. */
  private lastOpen: readonly OpenService[]
  private cancelReopened: (() => void) | undefined

  constructor(deps: ControlDeps) {
    this.deps = deps
    this.configNow = deps.config
    this.problemsNow = deps.problems
    const { config, clock, log, metrics, rules } = deps
    this.state = new StateDirectory(config.stateDir, { clock, log, metrics })
    rules.importState(this.state.read('rules.json', rulesFormat))
    const last = lastRun(this.state.read(stateFiles.snapshot, snapshotFormat))
    this.lastNames = last.names
    this.lastOpen = last.open

    this.store = new SnapshotStore(last.version, nodeSpec(config), this.meshSpec([]), () => this.flushSoon())
    this.directory = new EndpointDirectory({
      adapters: deps.adapters,
      rules: {
        allowLoopback: config.endpoints.allowLoopbackEndpoints,
        maxPerService: config.endpoints.maxPerService,
        isOwnListener: (address, port) => this.listeners.isOwn(address, port),
      },
      staleAfterMs: config.endpoints.staleAfter,
      protect: { share: config.endpoints.protectShare, confirmAfterMs: config.endpoints.confirmAfter },
      clock,
      log,
      metrics,
      onChange: (set) => this.endpointsChanged(set),
      onSame: (set) => this.compiler.endpointsReplaced(set),
      onAnswered: (key) => {
        this.refreshNames(key)
        for (const listener of this.answerListeners) listener(key)
      },
    })
    this.compiler = new Compiler({
      store: this.store,
      rules,
      directory: this.directory,
      restored: last.endpoints,
      declaredChanged: (key) => this.declared.changed(key),
      neededChanged: (key) => {
        for (const listener of this.neededListeners) listener(key)
      },
      localApplication: (address, port) => this.localApplication(address, port),
    })
    this.declared = new DeclaredServices({
      clock,
      log,
      build: deps.entrySet,
      resolve: deps.resolve,
      declared: (key) => rules.declaredService(key),
      isNeeded: (key) => this.compiler.isServiceNeeded(key),
      publish: (key, set) => this.directory.declare(key, set),
    })
    this.names = new Names({
      clock,
      metrics,
      idleMs: config.outbound.idleRelease,
      maxNames: config.outbound.maxOnDemand,
      resolve: (name) => this.resolveName(name),
      need: (key, reason) => this.compiler.needOnDemand(key, reason),
      drop: (key, reason) => this.compiler.drop(key, reason),
      standing: (key) => this.compiler.standing(key),
      publish: (name, virtualHost) => this.store.setName(name, virtualHost),
    })
    const remembered = rememberedPorts(this.state.read(stateFiles.ports, portsFormat))
    this.listeners = new Listeners(config, remembered, this.store, rules)
    this.registrar = new Registrar(
      {
        adapters: deps.adapters,
        host: config.host,
        takesRegistrations: (registry) => {
          const found = config.registries.find((one) => one.name === registry)
          return found !== undefined && kindOf(found).takesRegistrations
        },
        clusterOf: (registry) => {
          const found = config.registries.find((one) => one.name === registry)
          return (found && kindOf(found).naming(found)?.cluster) ?? 'DEFAULT'
        },
        clock,
        random: deps.random,
        log,
        probe: deps.probe,
        onChanged: () => this.state.changed(stateFiles.registrations),
      },
      keptRegistrations(this.state.read(stateFiles.registrations, registrationsFormat)),
    )
    const onChanged = (): void => this.applicationsChanged()
    this.applications = new LocalApplications({
      registrar: this.registrar,
      listeners: this.listeners,
      log,
      config: () => this.configNow,
      uidOf: deps.uidOf,
      onChanged,
    })
    this.outbound = new OutboundServices({
      compiler: this.compiler,
      listeners: this.listeners,
      hostOf: (key) => rules.resolveName(key) ?? key,
    })
    this.publisher = new Publisher({
      path: join(config.runDir, runFiles.control(deps.generation)),
      generation: deps.generation,
      clock,
      log,
      metrics,
      snapshot: () => this.store.whole(clock.wall()),
      onSeenVersion: (version) => this.store.raiseVersion(version),
      onNeed: (names) => {
        for (const name of names) this.names.ask(name)
      },
      onUsed: (services) => this.used(services),
      onRefusedApplication: (application) => this.registrar.refused(application),
      onWorkers: () => this.workersChanged(),
    })
    this.readiness = new HostReadiness({
      adapters: deps.adapters,
      directory: this.directory,
      publisher: this.publisher,
      listeners: this.listeners,
      config: () => this.configNow,
    })
    this.describeStateFiles()
  }

  get config(): AgentConfig {
    return this.configNow
  }

  get problems(): readonly ConfigProblem[] {
    return this.problemsNow
  }

  /** Changed settings that only a new generation takes up. */
  get restartNeeded(): readonly string[] {
    return this.restartNeededNow
  }

  get isLeading(): boolean {
    return this.isLeadingNow
  }

  /** Compiles from files and disk, then listens for workers. Rejects with E_ALREADY_RUNNING or E_RUN_DIRECTORY. Asks registries, but waits for none. */
  async start(): Promise<void> {
    for (const adapter of this.deps.adapters) adapter.start()
    this.loadRuleFiles()
    this.applications.adopt(this.registrar.kept())
    this.applyConfig(this.configNow, this.deps.applications)
    for (const name of this.lastNames) this.names.ask(name)
    this.lastNames = []
    this.reopen()
    this.store.take()
    this.isStarted = true
    await this.publisher.listen()
  }

  /** What clients of the Nacos face were told of goes on while they find out that control is another one. */
  private reopen(): void {
    if (this.configNow.nacosFace.enabled && this.lastOpen.length > 0)
      this.cancelReopened = this.deps.clock.after(reopenedMs, this.outbound.reopen(this.lastOpen))
    this.lastOpen = []
  }

  /** Only the leading generation announces applications and writes the state directory. */
  setLeading(isLeading: boolean): void {
    if (this.isLeadingNow === isLeading || this.isClosed) return
    this.isLeadingNow = isLeading
    if (isLeading) {
      // whoever led until now may have taken in or let go of applications since this generation started
      const newest = this.state.read(stateFiles.registrations, registrationsFormat)
      if (newest !== undefined) {
        this.registrar.relearn(keptRegistrations(newest))
        this.applications.adopt(keptRegistrations(newest))
      }
      this.state.setEnabled(true)
      for (const file of this.state.files()) this.state.changed(file)
    } else void this.state.hand()
    this.registrar.setLeading(isLeading)
  }

  /** Reads all files again. What is bad stays as it was and is reported; the rest is applied. */
  reload(): void {
    if (this.isClosed) return
    this.loadRuleFiles()
    const result = this.deps.check()
    this.problemsNow = result.problems
    const isGood = result.config !== undefined
    this.deps.metrics.count('config_reloads', { result: isGood ? 'applied' : 'refused' })
    for (const problem of result.problems)
      this.deps.log[problem.severity === 'error' ? 'error' : 'warn'](
        { code: 'E_CONFIG_INVALID' },
        formatProblem(problem),
      )
    if (result.config === undefined) {
      this.deps.log.error(
        { code: 'E_CONFIG_INVALID' },
        `${this.configNow.file}: the running configuration stays in place`,
      )
      return
    }
    this.restartNeededNow = restartNeeded(this.deps.config, result.config)
    if (this.restartNeededNow.length > 0)
      this.deps.log.warn(
        { settings: this.restartNeededNow },
        `${this.restartNeededNow.join(', ')}: taken up by \`systemctl reload\` or \`hostmesh upgrade\``,
      )
    this.applyConfig(liveConfig(this.configNow, result.config), result.applications)
  }

  /** Replaces all documents of a source of rules: at once, or once a long text has been read in small steps. The newest call for a source counts. */
  replaceRules(source: string, documents: readonly RuleDocument[]): void {
    const { rules } = this.deps
    const call = {}
    this.lastRules.set(source, call)
    if (!this.isStarted || !rules.isLong(source, documents)) {
      this.takeRules(source, documents)
      return
    }
    void rules.readAhead(source, documents, nextTurn).then(() => {
      if (this.lastRules.get(source) === call && !this.isClosed) this.takeRules(source, documents)
    })
  }

  private takeRules(source: string, documents: readonly RuleDocument[]): void {
    const { rules, log } = this.deps
    const change = rules.replaceSource(source, documents)
    for (const status of change.statuses) {
      if (status.state === 'applied') continue
      const why = status.problems.map(
        (problem) => `${problem.line}:${problem.column} ${problem.path}: ${problem.message}`,
      )
      log.error(
        { code: 'E_RULE_REJECTED', source, document: status.document },
        `${status.document}: ${status.kind} ${status.namespace}/${status.name} is ${status.state}: ${why.join('; ')}; ` +
          (status.inForce ? 'its last good version stays' : 'it has no effect'),
      )
    }
    this.compiler.rulesChanged(change.affected)
    this.names.resolveAgain()
    this.outbound.rulesChanged()
    this.applications.rulesChanged(change.affected)
    this.state.changed('rules.json')
    setImmediate(() => rules.settled())
  }

  onEndpoints(listener: (set: EndpointSet) => void): () => void {
    this.endpointListeners.add(listener)
    return () => this.endpointListeners.delete(listener)
  }

  /** All registries have spoken about a service for the first time. */
  onAnswered(listener: (key: ServiceKey) => void): () => void {
    this.answerListeners.add(listener)
    return () => this.answerListeners.delete(listener)
  }

  /** A virtual host or service began or ceased to be needed (`compiler.isNeeded` says which). */
  onNeeded(listener: (key: ServiceKey) => void): () => void {
    this.neededListeners.add(listener)
    return () => this.neededListeners.delete(listener)
  }

  onWorkers(listener: () => void): () => void {
    this.workerListeners.add(listener)
    return () => this.workerListeners.delete(listener)
  }

  /** Lets registrations go, or takes them back when the host leaves; writes what is not written; closes everything. */
  async close(order: { readonly isHostStopping: boolean; readonly deadlineMs: number }): Promise<void> {
    if (this.isClosed) return
    if (order.isHostStopping && this.isLeadingNow) await this.registrar.leave(order.deadlineMs)
    this.isClosed = true
    await this.state.close()
    this.registrar.close()
    this.names.close()
    this.cancelReopened?.()
    this.declared.close()
    this.directory.close()
    if (this.flushing !== undefined) clearImmediate(this.flushing)
    await Promise.all([this.publisher.close(), ...this.deps.adapters.map((adapter) => adapter.close())])
  }

  private applyConfig(config: AgentConfig, applications: readonly ApplicationConfig[]): void {
    this.configNow = config
    this.store.setNode(nodeSpec(config))
    this.listeners.setConfig(config)
    this.outbound.configure(config.outbound.services)
    this.applications.configure(applications, this.problemsNow)
    this.state.changed(stateFiles.relayTargets)
  }

  private applicationsChanged(): void {
    this.store.setMesh(this.meshSpec(this.registrar.applications()))
    this.compiler.localApplicationsChanged()
    this.state.changed(stateFiles.ports)
    this.workersChanged()
  }

  private loadRuleFiles(): void {
    const { documents, problems } = readRuleFiles(this.configNow.rulesDir)
    for (const problem of problems) {
      this.deps.log.error({ code: 'E_CONFIG_UNREADABLE' }, `${formatProblem(problem)}; the rules in force stay`)
    }
    if (problems.length === 0) this.replaceRules('rules.d', documents)
  }

  private resolveName(name: string): ServiceKey | undefined {
    const key = this.deps.rules.resolveName(name)
    return key === undefined || key.startsWith(inboundNamespace) ? undefined : key
  }

  private endpointsChanged(set: EndpointSet): void {
    this.compiler.endpointsChanged(set)
    this.refreshNames(set.service)
    for (const listener of this.endpointListeners) listener(set)
  }

  private refreshNames(service: ServiceKey): void {
    this.compiler.heard(service)
    for (const host of this.compiler.hostsOf(service)) this.names.refresh(host)
  }

  /** Workers speak of services; names are kept by the virtual hosts that lead to them. */
  private used(services: readonly string[]): void {
    for (const service of services) this.names.used([service, ...this.compiler.hostsOf(service as ServiceKey)])
  }

  private workersChanged(): void {
    for (const application of this.registrar.applications()) {
      const name = inboundListener(application.id)
      const problem = this.readiness.listenerProblem(name)
      if (problem !== undefined) this.registrar.listenerState(application.id, { problem })
      else if (this.readiness.listenerState(name) === 'listening')
        this.registrar.listenerState(application.id, 'listening')
    }
    for (const listener of this.workerListeners) listener()
  }

  private localApplication(address: string, port: number) {
    const { host, inbound } = this.configNow
    return address === host.address || address === inbound.address ? this.applications.behind(port) : undefined
  }

  private meshSpec(applications: readonly Application[]): MeshSpec {
    const { limits, accessLog, fallbackNetworks, tracing } = this.configNow
    const byUid = sourceAppsByUid(applications, this.deps.uidOf, (message) => this.deps.log.warn({}, message))
    return { limits, accessLog, fallbackNetworks, sourceAppsByUid: byUid, tracing }
  }

  private flushSoon(): void {
    this.flushing ??= setImmediate(() => {
      this.flushing = undefined
      const delta = this.store.take()
      if (delta === undefined) return
      this.publisher.publish(delta)
      this.state.changed(stateFiles.snapshot)
      this.state.changed(stateFiles.relayTargets)
    })
  }

  private describeStateFiles(): void {
    const { clock, rules } = this.deps
    const { state } = this
    const knownTargets = new WeakMap<EndpointSet, readonly string[]>()
    state.keep(stateFiles.snapshot, snapshotFormat, snapshotDelayMs, () => this.store.whole(clock.wall()))
    state.keep(stateFiles.relayTargets, relayTargetsFormat, 200, () => {
      const { host, center, fallbackNetworks, limits, serviceDefaults } = this.configNow
      const targets = relayTargets(
        this.store,
        host.name,
        centerOrder(host.name, center.addresses),
        fallbackNetworks,
        serviceDefaults,
        clock.wall(),
        knownTargets,
      )
      return { ...targets, limits }
    })
    state.keep(stateFiles.ports, portsFormat, 200, () => this.listeners.remembered())
    state.keep(stateFiles.registrations, registrationsFormat, 0, () => this.registrar.kept())
    // soon: a bad version may follow within a second, and then only this file knows the last good one
    state.keep('rules.json', rulesFormat, 100, () => rules.exportState())
  }
}

function nodeSpec(config: AgentConfig): NodeSpec {
  const { name, address, zone, region } = config.host
  return { host: name, address, locality: { region, zone }, tier: config.role === 'center' ? 'center' : 'agent' }
}

/** Workers, registries and operators are served before this goes on. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
