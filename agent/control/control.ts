/**
 * Control, put together: the core, this host, and what both are told by files. It decides when a configuration is taken
 * up, who leads, and what is written to the state directory.
 *
 * Everything it needs is handed in, so a test runs it without a process.
 */
import type { EndpointSet } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { relayIdentityFormat } from '../../contracts/relay-identity.ts'
import { relayTargetsFormat } from '../../contracts/relay-targets.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import { snapshotFormat, type MeshSpec, type NodeSpec } from '../../contracts/snapshot.ts'
import type { Clock } from './clock.ts'
import type { CheckResult } from './config/check.ts'
import { closedToFallbacks } from './config/closed-to-fallbacks.ts'
import { formatProblem, type ConfigProblem } from './config/problem.ts'
import { liveConfig, restartNeeded } from './config/restart-needed.ts'
import { readRuleFiles } from './config/rule-files.ts'
import { ruleScope } from './config/rule-scope.ts'
import type { AgentConfig, ApplicationConfig } from './config/types.ts'
import { CertificateFiles } from './certificates/certificate-files.ts'
import { missingCredentials } from './certificates/missing-credentials.ts'
import { CredentialFolder } from './certificates/credential-folder.ts'
import { Core } from './core/core.ts'
import type { EntrySetBuilder, Rules } from './core/rules/types.ts'
import { Timeline } from './events/timeline.ts'
import { lastRun, type LastRun } from './core/snapshot/last-run.ts'
import { faceRelay } from './host/nacos-face/face-relay.ts'
import { centerOrder, relayTargets, type SetTargets } from './core/snapshot/relay-targets.ts'
import { StateDirectory } from './core/state/state-directory.ts'
import type { Application, CheckSpec } from './host/applications/application.ts'
import type { ProbeTarget } from './host/applications/probe.ts'
import { sourceAppsByUid } from './host/applications/source-apps.ts'
import type { FetchText } from './core/keys/fetch-text.ts'
import type { DeclaredDeps } from './core/endpoints/declared.ts'
import { Host } from './host/host.ts'
import type { Log } from './log.ts'
import { nextTurn } from './next-turn.ts'
import type { ControlMetrics } from './observe.ts'

export interface ControlDeps {
  readonly config: AgentConfig
  readonly applications: readonly ApplicationConfig[]
  readonly problems: readonly ConfigProblem[]
  readonly generation: number
  /** Not started yet; control starts and closes them. In order of precedence. */
  readonly adapters: readonly RegistryAdapter[]
  readonly rules: Rules
  readonly entrySet: EntrySetBuilder
  readonly resolve: DeclaredDeps['resolve']
  readonly fetchText: FetchText
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  readonly uidOf: (name: string) => number | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: ControlMetrics
  /** Reads the files again. */
  readonly check: () => CheckResult
  /** A configuration is in force from here on. */
  readonly onConfig?: (config: AgentConfig) => void
}

const eventsFormat = 1
/** A control that is killed has told all that is older than this, ms. */
const eventsDelayMs = 100

export class Control {
  readonly deps: ControlDeps
  readonly core: Core
  readonly host: Host
  readonly state: StateDirectory
  readonly timeline: Timeline
  private readonly certificateFiles: CertificateFiles
  private readonly credentialFolder: CredentialFolder
  private readonly last: LastRun
  private configNow: AgentConfig
  private problemsNow: readonly ConfigProblem[]
  private restartNeededNow: readonly string[] = []
  private readonly workerListeners = new Set<() => void>()
  private hasCertificates = false
  private isLeadingNow = false
  private isClosed = false

  constructor(deps: ControlDeps) {
    this.deps = deps
    this.configNow = deps.config
    this.problemsNow = deps.problems
    const { config, clock, log, metrics } = deps
    this.state = new StateDirectory(config.stateDir, { clock, log, metrics })
    this.timeline = new Timeline({ clock, metrics, onChanged: () => this.state.changed(stateFiles.events) })
    this.state.keep(stateFiles.events, eventsFormat, eventsDelayMs, () => this.timeline.exportState())
    this.last = lastRun(this.state.read(stateFiles.snapshot, snapshotFormat))
    this.core = new Core({
      ...deps,
      state: this.state,
      timeline: this.timeline,
      last: this.last,
      node: nodeSpec(config),
      mesh: this.meshSpec([]),
      isOwnListener: (address, port) => this.host.listeners.isOwn(address, port),
      localApplication: (address, port) => this.host.behind(address, port),
      onRulesChanged: (affected) => {
        this.host.rulesChanged(affected)
        this.state.changed(stateFiles.relayTargets)
      },
      onWorkers: () => this.workersChanged(),
      onCertificates: () => {
        this.state.changed(stateFiles.relayIdentity)
        const { certificates } = this.core
        this.hasCertificates = certificates.all().length + certificates.credentials.length > 0
        this.core.store.setMesh(this.meshSpec(this.host.registrar.applications()))
        this.host.certificatesChanged()
      },
      onRefusedApplication: (application) => this.host.registrar.refused(application),
    })
    this.certificateFiles = new CertificateFiles({
      clock,
      log,
      metrics,
      onCertificates: (certificates) => this.core.certificates.replaceSource('files', certificates),
    })
    this.credentialFolder = new CredentialFolder({
      clock,
      log,
      metrics,
      onCredentials: (credentials) => this.core.certificates.replaceCredentials(credentials),
    })
    this.host = new Host({
      ...deps,
      core: this.core,
      state: this.state,
      timeline: this.timeline,
      config: () => this.configNow,
      deniedHosts: this.last.deniedHosts,
      onApplications: () => this.applicationsChanged(),
    })
    this.keepRelayTargets()
  }

  /** Files of certificates that are not in use as they are now, and ports that miss one. */
  get certificateProblems(): readonly string[] {
    return [
      ...this.certificateFiles.problems(),
      ...this.credentialFolder.problems(),
      ...missingCredentials(this.core.store.allListeners(), this.core.certificates.credentials),
    ]
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

  /**
   * Compiles from files and disk, then listens for workers. Rejects with E_ALREADY_RUNNING or E_RUN_DIRECTORY. Asks
   * registries, but waits for none.
   */
  async start(): Promise<void> {
    for (const adapter of this.deps.adapters) adapter.start()
    this.loadRuleFiles()
    this.host.adoptKept()
    this.applyConfig(this.configNow, this.deps.applications)
    this.core.askAgain()
    this.host.reopen(this.last.open)
    await this.core.listen()
  }

  /** Only the leading generation announces applications and writes the state directory. */
  setLeading(isLeading: boolean): void {
    if (this.isLeadingNow === isLeading || this.isClosed) return
    this.isLeadingNow = isLeading
    if (isLeading) {
      this.timeline.takeOver(this.state.read(stateFiles.events, eventsFormat))
      this.host.takeOver()
      this.state.setEnabled(true)
      for (const file of this.state.files()) this.state.changed(file)
    } else {
      this.timeline.retire()
      void this.state.hand()
    }
    this.host.setLeading(isLeading)
  }

  /** Reads all files again. What is bad stays as it was and is reported; the rest is applied. False = none could be. */
  reload(): boolean {
    if (this.isClosed) return false
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
      return false
    }
    this.restartNeededNow = restartNeeded(this.deps.config, result.config)
    if (this.restartNeededNow.length > 0)
      this.deps.log.warn(
        { settings: this.restartNeededNow },
        `${this.restartNeededNow.join(', ')}: taken up by \`systemctl reload\` or \`hostmesh upgrade\``,
      )
    this.applyConfig(liveConfig(this.configNow, result.config), result.applications)
    return true
  }

  onWorkers(listener: () => void): () => void {
    this.workerListeners.add(listener)
    return () => this.workerListeners.delete(listener)
  }

  /** Lets registrations go, or takes them back when the host leaves; writes what is not written; closes everything. */
  async close(order: { readonly isHostStopping: boolean; readonly deadlineMs: number }): Promise<void> {
    if (this.isClosed) return
    if (order.isHostStopping && this.isLeadingNow) await this.host.registrar.leave(order.deadlineMs)
    this.isClosed = true
    this.certificateFiles.close()
    this.credentialFolder.close()
    await this.state.close()
    this.host.close()
    await this.core.close()
  }

  private applyConfig(config: AgentConfig, applications: readonly ApplicationConfig[]): void {
    this.configNow = config
    this.deps.onConfig?.(config)
    this.core.store.setNode(nodeSpec(config))
    this.certificateFiles.configure(config.tls.identities)
    this.credentialFolder.configure(config.tls.credentialsDir)
    this.needProviders(config)
    this.host.configure(config, applications, this.problemsNow)
    this.state.changed(stateFiles.relayTargets)
    this.state.changed(stateFiles.relayIdentity)
  }

  /** Workers ask them by themselves, so they are there before anybody calls. */
  private needProviders(config: AgentConfig): void {
    const { authorizers, rateLimitServices } = ruleScope(config)
    for (const { name, service } of rateLimitServices?.values() ?? []) {
      this.core.compiler.setProtocol(service, 'grpc')
      this.core.compiler.need(service, `extension provider ${name}`)
    }
    for (const { call, name, service } of authorizers?.values() ?? []) {
      if (call.kind === 'grpc') this.core.compiler.setProtocol(service, 'grpc')
      this.core.compiler.need(service, `extension provider ${name}`)
    }
  }

  private applicationsChanged(): void {
    this.core.store.setMesh(this.meshSpec(this.host.registrar.applications()))
    this.core.compiler.tellAgain()
    this.state.changed(stateFiles.ports)
    this.workersChanged()
  }

  private loadRuleFiles(): void {
    const { documents, problems } = readRuleFiles(this.configNow.rulesDir)
    for (const problem of problems) {
      this.deps.log.error({ code: 'E_CONFIG_UNREADABLE' }, `${formatProblem(problem)}; the rules in force stay`)
    }
    if (problems.length === 0) this.core.replaceRules('rules.d', documents)
  }

  private workersChanged(): void {
    this.host.workersChanged()
    for (const listener of this.workerListeners) listener()
  }

  private meshSpec(applications: readonly Application[]): MeshSpec {
    const { limits, accessLog, fallbackNetworks, filters, generateRequestId, rpcProtocols, tracing, watchdog } =
      this.configNow
    const byUid = sourceAppsByUid(
      applications,
      this.deps.uidOf,
      (message) => this.deps.log.warn({}, message),
      (application) => this.host.identities.nameOf(application),
    )
    const maxMemoryBytes = watchdog.maxMemory
    const { collector: logCollector, ...logged } = accessLog
    const { collector: traceCollector, ...traced } = tracing
    return {
      limits,
      accessLog: { ...logged, isExported: logCollector !== undefined },
      fallbackNetworks,
      ownAddresses: closedToFallbacks(this.configNow),
      sourceAppsByUid: byUid,
      tracing: { ...traced, isExported: traceCollector !== undefined },
      generateRequestId,
      rpcProtocols: Object.fromEntries(rpcProtocols.map(({ name, ...description }) => [name, description])),
      maxMemoryBytes,
      ...(filters.length === 0 ? {} : { userFilters: filters }),
      ...(this.hasCertificates ? { hasCertificates: true as const } : {}),
    }
  }

  private keepRelayTargets(): void {
    const knownTargets = new WeakMap<EndpointSet, SetTargets>()
    this.state.keep(stateFiles.relayTargets, relayTargetsFormat, 200, async () => {
      const { host, center, fallbackNetworks, limits, serviceDefaults } = this.configNow
      const targets = await relayTargets(
        this.core.store,
        host.name,
        centerOrder(host.name, center.addresses),
        fallbackNetworks,
        serviceDefaults,
        this.deps.clock.wall(),
        this.deps.rules.guardsCalls,
        center.mtls,
        knownTargets,
        nextTurn,
      )
      return {
        ...targets,
        ownAddresses: closedToFallbacks(this.configNow),
        limits,
        centerSecretFile: center.secretFile,
        centerMtls: center.mtls,
        nacosFace: faceRelay(this.configNow),
      }
    })
    this.state.keep(stateFiles.relayIdentity, relayIdentityFormat, 0, () => {
      const { center, relay } = this.configNow
      const isWanted = center.mtls || (relay !== undefined && relay.mtls !== 'disable')
      return (isWanted ? this.core.certificates.all()[0] : undefined) ?? null
    })
  }
}

function nodeSpec(config: AgentConfig): NodeSpec {
  const { name, address, zone, region } = config.host
  return { host: name, address, locality: { region, zone }, tier: config.role }
}
