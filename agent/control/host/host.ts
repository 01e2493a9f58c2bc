/**
 * What is of this host: its applications, their ports and listeners, and the localhost ports of services. It puts
 * records into the core's snapshot and asks it for services.
 */
import { serviceKey, type ServiceKey } from '../../../contracts/endpoint.ts'
import type { InboundMtls } from '../../../contracts/snapshot.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { stateFiles } from '../../../contracts/run-directory.ts'
import type { Clock } from '../clock.ts'
import type { ConfigProblem } from '../config/problem.ts'
import type { AgentConfig, ApplicationConfig } from '../config/types.ts'
import type { Core } from '../core/core.ts'
import type { Rules } from '../core/rules/types.ts'
import type { OpenService } from '../core/snapshot/last-run.ts'
import type { StateDirectory } from '../core/state/state-directory.ts'
import type { Timeline } from '../events/timeline.ts'
import { kindOf } from '../kinds/registries.ts'
import type { Log } from '../log.ts'
import type { ControlMetrics } from '../observe.ts'
import type { Application, CheckSpec } from './applications/application.ts'
import { LocalApplications } from './applications/local-applications.ts'
import { countedProbe, type ProbeTarget } from './applications/probe.ts'
import { Registrar } from './applications/registrar.ts'
import { workloadLabels } from './applications/source-apps.ts'
import { keptRegistrations, rememberedPorts, toldServices } from './last-run.ts'
import { HostIdentities } from './identities/host-identities.ts'
import { GatewayListeners } from './listeners/gateway-listeners.ts'
import { Listeners, inboundListener } from './listeners/listeners.ts'
import { OutboundServices } from './listeners/outbound-services.ts'
import { ToldServices } from './listeners/told-services.ts'
import { HostReadiness } from './readiness.ts'

export interface HostDeps {
  readonly core: Pick<Core, 'certificates' | 'store' | 'compiler' | 'directory' | 'publisher'>
  readonly adapters: readonly RegistryAdapter[]
  readonly rules: Rules
  readonly state: StateDirectory
  readonly timeline: Pick<Timeline, 'turn'>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: ControlMetrics
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  readonly uidOf: (name: string) => number | undefined
  /** Of the last run, until the authority says which they are. */
  readonly deniedHosts: readonly string[]
  /** The one in force. */
  config(): AgentConfig
  /** An application came, went or changed. */
  onApplications(): void
}

/**
 * How long a localhost port of the last run waits for somebody to ask for it; clients of the face come back within
 * seconds, those that poll within half a minute.
 */
const reopenedMs = 60_000
const portsFormat = 1
const registrationsFormat = 1
/** Services that the host was told of. */
const toldFormat = 1

export class Host {
  readonly listeners: Listeners
  readonly gateways: GatewayListeners
  readonly readiness: HostReadiness
  readonly registrar: Registrar
  readonly applications: LocalApplications
  readonly outbound: OutboundServices
  readonly told: ToldServices
  readonly identities: HostIdentities
  private readonly deps: HostDeps
  private cancelReopened: (() => void) | undefined

  constructor(deps: HostDeps) {
    this.deps = deps
    const { core, adapters, clock, log, rules, state } = deps
    const config = deps.config()
    const remembered = rememberedPorts(state.read(stateFiles.ports, portsFormat))
    const mtlsOf = (application: Application): InboundMtls | undefined => {
      const { port, service } = application
      const mode = rules.inboundMtls(serviceKey(service), { labels: workloadLabels(application), port })
      // without an identity nobody can speak TLS here; STRICT then means that nobody is served
      const isPossible = mode === 'strict' || (mode === 'permissive' && core.certificates.all().length > 0)
      return isPossible ? mode : undefined
    }
    const identityOf = (application: Application) => this.identities.nameOf(application)
    this.listeners = new Listeners(config, remembered, core.store, rules, identityOf, mtlsOf, deps.deniedHosts)
    this.gateways = new GatewayListeners(core.store, core.compiler, rules)
    this.registrar = new Registrar(
      {
        adapters,
        host: config.host,
        takesRegistrations: (registry) => {
          const found = config.registries.find((one) => one.name === registry)
          return found !== undefined && kindOf(found).takesRegistrations(found)
        },
        clusterOf: (registry) => {
          const found = config.registries.find((one) => one.name === registry)
          return (found && kindOf(found).naming(found)?.cluster) ?? ''
        },
        mtlsOf,
        clock,
        random: deps.random,
        log,
        probe: countedProbe(deps.probe, (isGood) =>
          deps.metrics.count('application_checks', { result: isGood ? 'good' : 'bad' }),
        ),
        timeline: deps.timeline,
        onChanged: () => state.changed(stateFiles.registrations),
      },
      keptRegistrations(state.read(stateFiles.registrations, registrationsFormat)),
    )
    this.identities = new HostIdentities({
      certificates: core.certificates,
      state,
      clock,
      random: deps.random,
      log,
      metrics: deps.metrics,
      timeline: deps.timeline,
      config: deps.config,
      applications: () => this.registrar.applications(),
      onNames: () => this.namesChanged(),
    })
    this.applications = new LocalApplications({
      registrar: this.registrar,
      listeners: this.listeners,
      log,
      config: deps.config,
      uidOf: deps.uidOf,
      onChanged: () => {
        this.identities.applicationsChanged()
        deps.onApplications()
      },
    })
    this.outbound = new OutboundServices({
      compiler: core.compiler,
      listeners: this.listeners,
      hostOf: (key) => rules.resolveName(key) ?? key,
    })
    this.told = new ToldServices({
      clock,
      onChanged: () => {
        this.listen(deps.config())
        state.changed(stateFiles.toldServices)
      },
    })
    this.readiness = new HostReadiness({
      adapters,
      directory: core.directory,
      publisher: core.publisher,
      listeners: this.listeners,
      config: deps.config,
    })
    state.keep(stateFiles.ports, portsFormat, 200, () => this.listeners.remembered())
    state.keep(stateFiles.registrations, registrationsFormat, 0, () => this.registrar.kept())
    state.keep(stateFiles.toldServices, toldFormat, 0, () => this.told.all())
  }

  /** Applications that no file tells about, as the last run left them. */
  adoptKept(): void {
    this.applications.adopt(this.registrar.kept())
    this.told.adopt(toldServices(this.deps.state.read(stateFiles.toldServices, toldFormat)))
  }

  configure(config: AgentConfig, applications: readonly ApplicationConfig[], problems: readonly ConfigProblem[]): void {
    this.listeners.setConfig(config)
    this.listen(config)
    this.gateways.apply()
    this.applications.configure(applications, problems)
  }

  private listen({ outbound: { services } }: AgentConfig): void {
    const configured = new Set(services.map(({ service }) => serviceKey(service)))
    const told = this.told.all().filter(({ service }) => !configured.has(serviceKey(service)))
    this.outbound.configure([...services, ...told])
  }

  /** What clients of the Nacos face were told of goes on while they find out that control is another one. */
  reopen(services: readonly OpenService[]): void {
    if (this.deps.config().nacosFace.enabled && services.length > 0)
      this.cancelReopened = this.deps.clock.after(reopenedMs, this.outbound.reopen(services))
  }

  rulesChanged(affected: ReadonlySet<ServiceKey> | 'all'): void {
    this.outbound.rulesChanged()
    this.gateways.apply()
    this.applications.rulesChanged(affected)
  }

  /** What inbound ports take may be another thing now. */
  certificatesChanged(): void {
    this.applications.securityChanged()
  }

  workersChanged(): void {
    for (const application of this.registrar.applications()) {
      const name = inboundListener(application.id)
      const problem = this.readiness.listenerProblem(name)
      if (problem !== undefined) this.registrar.listenerState(application.id, { problem })
      else if (this.readiness.listenerState(name) === 'listening')
        this.registrar.listenerState(application.id, 'listening')
    }
  }

  /** The host has joined: every application has a name from here on. */
  private namesChanged(): void {
    for (const application of this.registrar.applications())
      this.registrar.put(application, this.listeners.addApplication(application))
    this.identities.applicationsChanged()
    this.deps.onApplications()
  }

  /** Where a local application listens whose inbound port this is. */
  behind(address: string, port: number): { readonly address: string; readonly port: number } | undefined {
    const { host, inbound } = this.deps.config()
    return address === host.address || address === inbound.address ? this.applications.behind(port) : undefined
  }

  /** Whoever led until now may have taken in or let go of applications since this generation started. */
  takeOver(): void {
    this.identities.takeOver()
    this.told.adopt(toldServices(this.deps.state.read(stateFiles.toldServices, toldFormat)))
    const newest = this.deps.state.read(stateFiles.registrations, registrationsFormat)
    if (newest === undefined) return
    this.registrar.relearn(keptRegistrations(newest))
    this.applications.adopt(keptRegistrations(newest))
  }

  setLeading(isLeading: boolean): void {
    this.registrar.setLeading(isLeading)
    this.identities.setLeading(isLeading)
  }

  close(): void {
    this.identities.close()
    this.told.close()
    this.registrar.close()
    this.cancelReopened?.()
  }
}
