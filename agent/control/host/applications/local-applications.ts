/**
 * Local applications: from files, from the API and from the Nacos face, each with its inbound port and its place in the
 * registrar.
 *
 * A file with problems leaves its application as it was; a file that is gone takes its application back.
 */
import { serviceKey, type ServiceKey } from '../../../../contracts/endpoint.ts'
import { describeError } from '../../../../contracts/errors.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import type { AgentConfig, ApplicationConfig } from '../../config/types.ts'
import type { Log } from '../../log.ts'
import { applicationOf, type Application } from './application.ts'
import { placeProblem } from './place.ts'
import { userId } from './source-apps.ts'
import type { KeptRegistration, Registrar } from './registrar.ts'
import type { Listeners } from '../listeners/listeners.ts'

export interface LocalApplicationsDeps {
  readonly registrar: Registrar
  readonly listeners: Listeners
  readonly log: Log
  readonly config: () => AgentConfig
  readonly uidOf: (name: string) => number | undefined
  /** One came, went or changed. */
  onChanged(): void
}

export class LocalApplications {
  private readonly deps: LocalApplicationsDeps
  /** File to application. */
  private files = new Map<string, string>()

  constructor(deps: LocalApplicationsDeps) {
    this.deps = deps
  }

  /** The good files, whole, and the problems that tell which files are bad. */
  configure(configs: readonly ApplicationConfig[], problems: readonly ConfigProblem[]): void {
    const { registrar, listeners } = this.deps
    const wanted = new Map(configs.map((config) => [config.file, applicationOf(config, 'file')]))
    const bad = new Set(problems.filter((one) => one.severity === 'error').map((problem) => problem.file))
    const files = new Map([...wanted].map(([file, application]) => [file, application.id]))
    for (const [file, id] of this.files) if (!files.has(file) && bad.has(file)) files.set(file, id)
    this.files = files
    const ids = new Set(files.values())
    for (const { id, source } of registrar.applications()) {
      if (source !== 'file' || ids.has(id)) continue
      this.remove(id).catch((error: unknown) => this.deps.log.error({}, `${id}: ${describeError(error)}`))
    }
    // pinned ports first: they have the better right
    const pinnedFirst = [...wanted.values()].toSorted(
      (a, b) => Number(b.inboundPort !== undefined) - Number(a.inboundPort !== undefined),
    )
    for (const application of pinnedFirst) registrar.put(application, listeners.addApplication(application))
    this.deps.onChanged()
  }

  /**
   * Those that no file tells about have only the state directory to remember them. Unknown ones are added, forgotten
   * ones let go of without a word to the registry.
   */
  adopt(kept: readonly KeptRegistration[]): void {
    const { registrar, listeners } = this.deps
    const remembered = new Map(kept.map(({ application }) => [application.id, application]))
    for (const application of registrar.applications()) {
      if (application.source === 'file' || remembered.has(application.id)) continue
      registrar.forget(application.id)
      listeners.removeApplication(application)
    }
    for (const application of remembered.values()) {
      if (application.source === 'file' || registrar.get(application.id) !== undefined) continue
      registrar.put(application, listeners.addApplication(application))
    }
    this.deps.onChanged()
  }

  /** Why no application can be there that somebody else than a file tells about, or undefined. */
  placeProblem(address: string, port: number): string | undefined {
    const { config, listeners } = this.deps
    const place = placeProblem(config(), address, port)
    if (place !== undefined) return place
    return listeners.portRows().some((row) => row.port === port && row.address === address)
      ? `${address}:${port}: a port of the agent itself; nothing can be announced there`
      : undefined
  }

  /** The same, and in whose name it would call. */
  problemOf(application: Application): string | undefined {
    const { address, port, user } = application
    const { registrar, uidOf } = this.deps
    const place = this.placeProblem(address, port)
    if (place !== undefined) return place
    if (user === undefined) return undefined
    const uid = userId(user, uidOf)
    if (uid === undefined) return `user "${user}" does not exist`
    for (const other of registrar.applications()) {
      if (other.id === application.id || other.user === undefined || userId(other.user, uidOf) !== uid) continue
      if (serviceKey(other.service) !== serviceKey(application.service))
        return `user ${user} stands for ${serviceKey(other.service)} already; give each application its own user`
    }
    return undefined
  }

  /** Adds or replaces one. Answers its inbound port; undefined: it got none, `/ports` says why. */
  put(application: Application): number | undefined {
    const port = this.deps.listeners.addApplication(application)
    this.deps.registrar.put(application, port)
    this.deps.onChanged()
    return port
  }

  /** Takes one back on purpose. False = there is none. */
  async remove(id: string): Promise<boolean> {
    const { registrar, listeners } = this.deps
    const application = registrar.get(id)
    if (application === undefined) return false
    // the registry first: callers leave before the port closes
    await registrar.remove(id)
    // it came back while the registry was being told
    if (registrar.get(id) !== undefined) return true
    listeners.removeApplication(application)
    this.deps.onChanged()
    return true
  }

  /** Rules may limit what comes in, and say in which form and from whom. */
  rulesChanged(affected: ReadonlySet<ServiceKey> | 'all'): void {
    const { listeners, registrar } = this.deps
    let isOtherwiseReached = false
    for (const application of registrar.applications()) {
      if (affected !== 'all' && !affected.has(serviceKey(application.service))) continue
      const hadRules = listeners.hasRulesBefore(application)
      listeners.compileInbound(application)
      if (listeners.hasRulesBefore(application) !== hadRules) isOtherwiseReached = true
    }
    if (isOtherwiseReached) this.deps.onChanged()
    if (affected === 'all') this.securityChanged()
  }

  /** What the inbound ports take, and what others are told of it. */
  securityChanged(): void {
    const { listeners, registrar } = this.deps
    for (const application of registrar.applications())
      registrar.put(application, listeners.addApplication(application))
  }

  /**
   * Where the application listens whose inbound port this is, for callers of this host; undefined where they too have
   * to come by the inbound port, because rules stand there.
   */
  behind(inboundPort: number): { readonly address: string; readonly port: number } | undefined {
    const id = this.deps.listeners.applicationAt(inboundPort)
    const application = id === undefined ? undefined : this.deps.registrar.get(id)
    if (application === undefined || this.deps.listeners.hasRulesBefore(application)) return undefined
    return { address: application.address, port: application.port }
  }
}
