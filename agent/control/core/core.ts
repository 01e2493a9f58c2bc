/**
 * What every role needs: from registries and rules to the snapshot that workers are given. It knows nothing of the
 * applications, ports and listeners of this host; the few questions about them are handed in.
 *
 * One turn of the loop collects all changes into one delta. Nothing here waits for a registry, a disk or a worker.
 */
import { join } from 'node:path'
import type { PublicKeySpec } from '../../../contracts/authentication-spec.ts'
import type { EndpointSet, ServiceKey } from '../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { runFiles, stateFiles } from '../../../contracts/run-directory.ts'
import { snapshotFormat, type MeshSpec, type NodeSpec } from '../../../contracts/snapshot.ts'
import type { Clock } from '../clock.ts'
import type { AgentConfig } from '../config/types.ts'
import type { Log } from '../log.ts'
import { RuleEvents } from '../events/rule-events.ts'
import type { Timeline } from '../events/timeline.ts'
import { WorkerTroubles } from '../events/worker-troubles.ts'
import { nextTurn } from '../next-turn.ts'
import type { ControlMetrics } from '../observe.ts'
import { DeclaredServices } from './endpoints/declared.ts'
import type { DeclaredDeps } from './endpoints/declared.ts'
import { EndpointDirectory } from './endpoints/directory.ts'
import { CertificateStore } from '../certificates/certificate-store.ts'
import type { EntrySetBuilder, RuleDocument, Rules } from './rules/types.ts'
import { rememberedRules } from './rules/remembered-rules.ts'
import { Compiler } from './snapshot/compiler.ts'
import { inboundNamespace } from '../../../contracts/inbound-key.ts'
import { isRuleFault } from '../../../contracts/rule-status.ts'
import type { LastRun } from './snapshot/last-run.ts'
import { KnownNames } from './snapshot/known-names.ts'
import type { FetchText } from './keys/fetch-text.ts'
import { KeySources } from './keys/key-sources.ts'
import { Names } from './snapshot/names.ts'
import { Publisher } from './snapshot/publisher.ts'
import { SnapshotStore } from './snapshot/store.ts'
import type { StateDirectory } from './state/state-directory.ts'

export interface CoreDeps {
  /** Of the start: what is read from it waits for a new generation when it changes. */
  readonly config: Pick<AgentConfig, 'dns' | 'endpoints' | 'outbound' | 'registries' | 'runDir'>
  readonly generation: number
  /** Not started yet; the core starts and closes them. In order of precedence. */
  readonly adapters: readonly RegistryAdapter[]
  readonly rules: Rules
  readonly entrySet: EntrySetBuilder
  readonly resolve: DeclaredDeps['resolve']
  readonly random: () => number
  /** Gets the keys of issuers of tokens. */
  readonly fetchText: FetchText
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ControlMetrics
  readonly state: StateDirectory
  readonly timeline: Timeline
  readonly last: LastRun
  readonly node: NodeSpec
  readonly mesh: MeshSpec
  /** An endpoint there would lead back to this agent. */
  isOwnListener(address: string, port: number): boolean
  /** Where a local application listens whose inbound port this is; undefined for every other endpoint. */
  localApplication(address: string, port: number): { readonly address: string; readonly port: number } | undefined
  onRulesChanged(affected: ReadonlySet<ServiceKey> | 'all'): void
  onWorkers(): void
  /** This host has other certificates now. */
  onCertificates(): void
  /** A worker refused to connect to a local application. */
  onRefusedApplication(application: string): void
}

const rulesFormat = 1
const keysFormat = 1
/**
 * A worker that starts while control is down serves what is on disk: it may be this old, ms. Large files are written
 * less often (`pauseFactor`).
 */
const snapshotDelayMs = 100

export class Core {
  readonly store: SnapshotStore
  readonly compiler: Compiler
  readonly directory: EndpointDirectory
  readonly names: Names
  readonly knownNames: KnownNames
  readonly certificates: CertificateStore
  readonly publisher: Publisher
  private readonly keySources: KeySources
  private readonly deps: CoreDeps
  private readonly declared: DeclaredServices
  private readonly endpointListeners = new Set<(set: EndpointSet) => void>()
  private readonly answerListeners = new Set<(key: ServiceKey) => void>()
  private readonly neededListeners = new Set<(key: ServiceKey) => void>()
  private readonly ruleEvents: RuleEvents
  private readonly troubles: WorkerTroubles
  private readonly lastRules = new Map<string, object>()
  private flushing: NodeJS.Immediate | undefined
  private isListening = false
  private isClosed = false

  constructor(deps: CoreDeps) {
    this.deps = deps
    const { config, clock, log, metrics, rules, state, last } = deps
    this.ruleEvents = new RuleEvents(deps.timeline)
    this.troubles = new WorkerTroubles({ timeline: deps.timeline, clock })
    rules.importState(rememberedRules(state.read('rules.json', rulesFormat), config.registries))
    this.store = new SnapshotStore(last.version, deps.node, deps.mesh, () => this.flushSoon())
    this.directory = new EndpointDirectory({
      adapters: deps.adapters,
      rules: {
        allowLoopback: config.endpoints.allowLoopbackEndpoints,
        maxPerService: config.endpoints.maxPerService,
        isOwnListener: (address, port) => deps.isOwnListener(address, port),
      },
      staleAfterMs: config.endpoints.staleAfter,
      protect: { share: config.endpoints.protectShare, confirmAfterMs: config.endpoints.confirmAfter },
      clock,
      log,
      metrics,
      timeline: deps.timeline,
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
      localApplication: (address, port) => deps.localApplication(address, port),
    })
    this.declared = new DeclaredServices({
      clock,
      log,
      metrics: deps.metrics,
      build: deps.entrySet,
      refresh: deps.config.dns,
      resolve: deps.resolve,
      declared: (key) => rules.declaredService(key),
      isNeeded: (key) => this.compiler.isServiceNeeded(key),
      publish: (key, set) => this.directory.declare(key, set),
    })
    this.knownNames = new KnownNames({
      adapters: deps.adapters,
      clock,
      log,
      onListed: () => {
        if (!this.isClosed) this.names.resolveAgain()
      },
    })
    this.names = new Names({
      clock,
      metrics,
      idleMs: config.outbound.idleRelease,
      maxNames: config.outbound.maxOnDemand,
      resolve: (name) => this.resolveName(name),
      need: (key, reason) => this.compiler.needOnDemand(key, reason),
      drop: (key, reason) => this.compiler.drop(key, reason),
      standing: (key) => this.standing(key),
      publish: (name, virtualHost) => this.store.setName(name, virtualHost),
    })
    this.certificates = new CertificateStore({
      metrics,
      onChange: () => {
        this.publisher.publishCertificates()
        this.tellCertificates()
        deps.onCertificates()
      },
    })
    this.keySources = new KeySources({
      clock,
      log,
      metrics,
      random: deps.random,
      fetch: deps.fetchText,
      allowLoopback: () => config.endpoints.allowLoopbackEndpoints,
      onKeys: (id, keys, problem) => this.keysChanged(id, keys, problem),
    })
    this.keySources.importState(state.read('keys.json', keysFormat))
    this.publisher = new Publisher({
      path: join(config.runDir, runFiles.control(deps.generation)),
      generation: deps.generation,
      clock,
      log,
      metrics,
      snapshot: () => this.store.whole(clock.wall()),
      certificates: () => this.certificates.all(),
      credentials: () => this.certificates.credentials,
      onSeenVersion: (version) => this.store.raiseVersion(version),
      onNeed: (names) => {
        for (const name of names) this.ask(name)
      },
      onUsed: (services) => this.used(services),
      onRefusedApplication: (application) => deps.onRefusedApplication(application),
      onTroubles: (pid, troubles) => this.troubles.hear(pid, troubles),
      onWorkers: () => {
        this.troubles.retain(new Set(this.publisher.states().map(({ pid }) => pid)))
        deps.onWorkers()
      },
    })
    state.keep(stateFiles.snapshot, snapshotFormat, snapshotDelayMs, () => this.store.records(clock.wall()))
    // soon: a bad version may follow within a second, and then only this file knows the last good one
    state.keep('keys.json', keysFormat, 100, () => this.keySources.exportState())
    state.keep('rules.json', rulesFormat, 100, () => rules.exportState())
  }

  /** Names that callers used before the restart. */
  askAgain(): void {
    for (const name of this.deps.last.names) this.names.ask(name)
  }

  /** What was compiled until now is the first snapshot. Rejects with E_ALREADY_RUNNING or E_RUN_DIRECTORY. */
  async listen(): Promise<void> {
    this.keySources.want(this.deps.rules.keySources())
    this.store.take()
    this.isListening = true
    await this.publisher.listen()
  }

  /**
   * Replaces all documents of a source of rules: at once, or once a long text has been read in small steps. The newest
   * call for a source counts.
   */
  replaceRules(source: string, documents: readonly RuleDocument[]): void {
    const { rules } = this.deps
    const call = {}
    this.lastRules.set(source, call)
    if (!this.isListening || !rules.isLong(source, documents)) {
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
    const awaited = new Set(documents.flatMap(({ name, isAwaited }) => (isAwaited ? [name] : [])))
    for (const status of change.statuses) {
      if (!isRuleFault(status.state) || awaited.has(status.document)) continue
      const why = status.problems.map(
        (problem) => `${problem.line}:${problem.column} ${problem.path}: ${problem.message}`,
      )
      log.error(
        { code: 'E_RULE_REJECTED', source, document: status.document },
        `${status.document}: ${status.kind} ${status.namespace}/${status.name} is ${status.state}: ${why.join('; ')}; ` +
          (status.inForce ? 'its last good version stays' : 'it has no effect'),
      )
    }
    this.ruleEvents.replaced(source, documents, change.statuses)
    this.keySources.want(rules.keySources())
    this.compiler.rulesChanged(change.affected)
    this.names.resolveAgain()
    this.deps.onRulesChanged(change.affected)
    this.deps.state.changed('rules.json')
    setImmediate(() => rules.settled())
  }

  private tellCertificates(): void {
    for (const { id, notAfter } of this.certificates.all())
      this.deps.timeline.turn({
        kind: 'certificate',
        about: id,
        what: 'renewed',
        message: `in use, valid until ${new Date(notAfter).toISOString()}`,
      })
  }

  /** Other keys of an issuer: what stands before applications, or before calls, is made anew. */
  private keysChanged(id: string, keys: readonly PublicKeySpec[] | undefined, problem: string | undefined): void {
    this.deps.rules.setKeys(id, keys, problem)
    if (this.deps.rules.guardsCalls) this.compiler.rulesChanged('all')
    this.deps.onRulesChanged('all')
    this.deps.state.changed('keys.json')
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

  async close(): Promise<void> {
    this.isClosed = true
    this.troubles.close()
    this.keySources.close()
    this.names.close()
    this.declared.close()
    this.directory.close()
    if (this.flushing !== undefined) clearImmediate(this.flushing)
    await Promise.all([this.publisher.close(), ...this.deps.adapters.map((adapter) => adapter.close())])
  }

  /** Keys as names under a wildcard read without it: a registry may hold rules for them. */
  keysUnderWildcards(): ServiceKey[] {
    const { rules } = this.deps
    return [...this.names.each()].flatMap((name) => {
      const key = rules.plainKey(name)
      return key === undefined || key === rules.resolveName(name) ? [] : [key]
    })
  }

  private ask(name: string): void {
    this.names.ask(name)
    const { rules } = this.deps
    const key = rules.plainKey(name)
    if (key === undefined || key === rules.resolveName(name)) return
    for (const listener of this.neededListeners) listener(key)
  }

  /** In the spelling of the registries where no rule says how it is spelled. */
  private resolveName(name: string): ServiceKey | undefined {
    const { rules } = this.deps
    const key = rules.resolveName(name)
    if (key === undefined || key.startsWith(inboundNamespace)) return undefined
    const spelled = this.knownNames.spelled(key)
    return spelled === key || rules.virtualHost(key).isDeclared ? key : spelled
  }

  /** Before a name counts as unknown the registries are asked whether it is spelled otherwise. */
  private standing(key: ServiceKey): ReturnType<Compiler['standing']> {
    const standing = this.compiler.standing(key)
    if (standing !== 'unknown') return standing
    this.knownNames.ask()
    return this.knownNames.isAsking ? 'unheard' : 'unknown'
  }

  private endpointsChanged(set: EndpointSet): void {
    if (set.endpoints.length > 0) this.knownNames.learn([set.service])
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

  private flushSoon(): void {
    this.flushing ??= setImmediate(() => {
      this.flushing = undefined
      const delta = this.store.take()
      if (delta === undefined) return
      this.publisher.publish(delta)
      this.deps.state.changed(stateFiles.snapshot)
      this.deps.state.changed(stateFiles.relayTargets)
    })
  }
}
