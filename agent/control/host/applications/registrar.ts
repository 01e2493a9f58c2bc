/**
 * Local applications: who is here, is it well, and what do the registries know about it.
 *
 * An application is announced with the agent's inbound port once that port listens (or at once when an earlier run had
 * announced it) and its health is known. It is taken back only on purpose: its file was removed, its owner said so, or
 * the host leaves. A generation that ends or is replaced lets go without a word to the registry, and the next one
 * carries on; only the leading one speaks at all.
 */
import { endpointId, metadataKeys, type ServiceName } from '../../../../contracts/endpoint.ts'
import type { Registration, RegistrationHandle, RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import type { InboundMtls } from '../../../../contracts/snapshot.ts'
import { describeError } from '../../../../contracts/errors.ts'
import type { Clock } from '../../clock.ts'
import type { HostConfig } from '../../config/types.ts'
import type { Timeline } from '../../events/timeline.ts'
import type { Log } from '../../log.ts'
import { Absence } from './absence.ts'
import type { Application, CheckSpec } from './application.ts'
import { HealthWatch } from './health.ts'
import type { ProbeTarget } from './probe.ts'

export interface RegistrarDeps {
  readonly adapters: readonly RegistryAdapter[]
  readonly host: HostConfig
  /** Whether applications that name no registry may be announced in this one. */
  takesRegistrations(registry: string): boolean
  /** What a registry calls a cluster: that of applications that name none; '' = it has none. */
  readonly clusterOf: (registry: string) => string
  /** What its inbound port takes; undefined = plain alone. */
  readonly mtlsOf: (application: Application) => InboundMtls | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly timeline: Pick<Timeline, 'turn'>
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  /** The desired state changed and should be kept on disk. */
  onChanged(): void
}

/** One line of `registrations.json`: an application, and what the registry was told about it, if anything. */
export interface KeptRegistration {
  readonly application: Application
  readonly announced?: { readonly registry: string; readonly registration: Registration }
}

export interface ApplicationView {
  readonly application: Application
  readonly inboundPort: number | undefined
  readonly health: boolean | undefined
  readonly healthProblem: string | undefined
  readonly state: 'waiting' | 'pending' | 'registered' | 'failing' | 'not leading' | 'no registry'
  readonly waitsFor: string | undefined
  /** Why it is `failing`, as far as it is known. */
  readonly registrationProblem: string | undefined
}

interface Entry {
  application: Application
  inboundPort: number | undefined
  /** `listening` once a worker said so; `failed` names why. */
  listener: 'unknown' | 'listening' | { readonly problem: string }
  watch: HealthWatch | undefined
  /** While it refuses connections. */
  absence: Absence | undefined
  wasAnnounced: boolean
  /**
   * What an earlier run had announced at another address, port or cluster: taken back when this run's own is announced.
   */
  former: NonNullable<KeptRegistration['announced']> | undefined
  handle: RegistrationHandle | undefined
  announced: Registration | undefined
  registry: string | undefined
  /** Why its registry cannot take it at all. */
  refusal: string | undefined
}

const deregisterDeadlineMs = 5000

export class Registrar {
  private readonly deps: RegistrarDeps
  private readonly entries = new Map<string, Entry>()
  private isLeading = false
  private readonly leftovers = new Map<string, KeptRegistration>()

  /** @param kept what the last run had announced. */
  constructor(deps: RegistrarDeps, kept: readonly KeptRegistration[]) {
    this.deps = deps
    for (const one of kept) this.leftovers.set(one.application.id, one)
  }

  /** Adds or replaces an application. `inboundPort` undefined: it has none (a conflict), so it is not announced. */
  put(application: Application, inboundPort: number | undefined): void {
    const present = this.entries.get(application.id)
    const kept = this.leftovers.get(application.id)
    this.leftovers.delete(application.id)
    const isSameCheck =
      present !== undefined && JSON.stringify(present.application.check) === JSON.stringify(application.check)
    const entry: Entry = present ?? {
      application,
      inboundPort,
      listener: 'unknown',
      watch: undefined,
      absence: undefined,
      wasAnnounced: false,
      former: undefined,
      handle: undefined,
      announced: undefined,
      registry: undefined,
      refusal: undefined,
    }
    if (present !== undefined && present.inboundPort !== inboundPort) entry.listener = 'unknown'
    entry.application = application
    entry.inboundPort = inboundPort
    this.entries.set(application.id, entry)
    if (present === undefined && kept?.announced !== undefined) this.inherit(entry, kept.announced)
    if (!isSameCheck) {
      entry.watch?.stop()
      const restored = present?.watch?.verdict ?? kept?.announced?.registration.healthy
      entry.watch = this.watchOf(entry, restored)
      entry.watch?.start()
    }
    this.announce(entry)
    this.deps.onChanged()
  }

  /** On purpose: the registry is told. Resolves when it has confirmed it, or after the deadline. */
  async remove(id: string, deadlineMs: number = deregisterDeadlineMs): Promise<boolean> {
    const entry = this.entries.get(id)
    if (entry === undefined) return false
    this.entries.delete(id)
    this.stopLooking(entry)
    const handle = entry.handle
    entry.handle = undefined
    if (entry.former !== undefined && this.isLeading) this.takeBack(entry.former, 'removed')
    this.deps.onChanged()
    if (handle !== undefined) await handle.deregister(deadlineMs)
    return true
  }

  /** Lets go of one without a word to the registry. */
  forget(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    this.entries.delete(id)
    this.stopLooking(entry)
    entry.handle?.release()
    this.deps.onChanged()
  }

  /** What the generation that led until now had announced: a fresher list than the one that this one started with. */
  relearn(kept: readonly KeptRegistration[]): void {
    this.leftovers.clear()
    for (const one of kept) {
      const entry = this.entries.get(one.application.id)
      if (entry === undefined) this.leftovers.set(one.application.id, one)
      else if (one.announced !== undefined) this.inherit(entry, one.announced)
    }
  }

  /**
   * Takes over what an earlier run had announced, or remembers to take it back where this host is somewhere else by
   * now.
   */
  private inherit(entry: Entry, announced: NonNullable<KeptRegistration['announced']>): void {
    const { registration } = announced
    const isHere = registration.port === entry.inboundPort && registration.address === this.deps.host.address
    entry.wasAnnounced = isHere
    entry.former = isHere ? undefined : announced
  }

  /** What workers say about the inbound port of an application. */
  listenerState(id: string, state: 'listening' | { readonly problem: string }): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    const isSame =
      typeof state === 'object' && typeof entry.listener === 'object'
        ? state.problem === entry.listener.problem
        : state === entry.listener
    if (isSame) return
    entry.listener = state
    this.announce(entry)
  }

  /**
   * A worker met a refused connection: whoever listens at `address:port` on this host is not there now. Unhealthy at
   * once, until it takes connections again.
   */
  refused(address: string): void {
    for (const entry of this.entries.values()) {
      const { application } = entry
      if (entry.absence !== undefined || endpointId(application) !== address) continue
      const { id } = application
      this.deps.log.warn(
        { application: id },
        `${id}: unhealthy: it refuses connections; ${this.isLeading ? 'the registry is told' : 'not leading'}`,
      )
      this.tellHealth(id, false, 'it refuses connections')
      const { clock, probe } = this.deps
      entry.absence = new Absence(application, {
        clock,
        probe,
        onReturn: () => {
          entry.absence = undefined
          this.deps.log.info({ application: id }, `${id}: takes connections again`)
          this.tellHealth(id, true, 'takes connections again')
          this.announce(entry)
        },
      })
      this.announce(entry)
    }
  }

  /**
   * Leading: announce. Not leading: let go of everything without a word.
   * What the last run had announced and nobody wants any more is taken back when leading begins, because its file was
   * removed while nobody looked.
   */
  setLeading(isLeading: boolean): void {
    if (this.isLeading === isLeading) return
    this.isLeading = isLeading
    for (const entry of this.entries.values()) {
      if (isLeading) this.announce(entry)
      else this.letGo(entry)
    }
    if (!isLeading) return
    for (const { announced } of this.leftovers.values()) {
      if (announced === undefined) continue
      this.takeBack(announced, 'no longer on this host')
    }
    this.leftovers.clear()
    this.deps.onChanged()
  }

  /** The host leaves: everything is taken back. */
  async leave(deadlineMs: number): Promise<void> {
    await Promise.all([...this.entries.keys()].map((id) => this.remove(id, deadlineMs)))
  }

  /** Ends checks and lets go. */
  close(): void {
    for (const entry of this.entries.values()) {
      this.stopLooking(entry)
      this.letGo(entry)
    }
  }

  private stopLooking(entry: Entry): void {
    entry.watch?.stop()
    entry.absence?.stop()
  }

  views(): ApplicationView[] {
    return [...this.entries.values()].map((entry) => ({
      application: entry.application,
      inboundPort: entry.inboundPort,
      health: this.healthOf(entry),
      healthProblem: entry.absence === undefined ? entry.watch?.lastProblem : 'refuses connections',
      state: this.stateOf(entry),
      waitsFor: this.waitsFor(entry),
      registrationProblem: problemOf(entry),
    }))
  }

  get(id: string): Application | undefined {
    return this.entries.get(id)?.application
  }

  applications(): Application[] {
    return [...this.entries.values()].map((entry) => entry.application)
  }

  /**
   * For `registrations.json`: what is announced, what only we remember, and what of the last run is not settled yet.
   */
  kept(): KeptRegistration[] {
    const now = [...this.entries.values()].flatMap(
      ({ application, announced, registry, former }): KeptRegistration[] => {
        if (announced !== undefined && registry !== undefined)
          return [{ application, announced: { registry, registration: announced } }]
        if (former !== undefined) return [{ application, announced: former }]
        return application.source === 'file' ? [] : [{ application }]
      },
    )
    return [...now, ...this.leftovers.values()]
  }

  private stateOf(entry: Entry): ApplicationView['state'] {
    if (entry.handle !== undefined) return entry.handle.state
    if (entry.refusal !== undefined) return 'failing'
    if (this.adapterOf(entry.application) === undefined) return 'no registry'
    return this.isLeading ? 'waiting' : 'not leading'
  }

  private waitsFor(entry: Entry): string | undefined {
    if (entry.inboundPort === undefined) return 'an inbound port'
    if (entry.handle !== undefined) return undefined
    if (!entry.wasAnnounced && entry.listener === 'unknown') return 'its inbound port to listen'
    if (typeof entry.listener === 'object' && entry.announced === undefined) return entry.listener.problem
    if (this.healthOf(entry) === undefined) return 'its first health check'
    return undefined
  }

  private healthOf(entry: Entry): boolean | undefined {
    if (!entry.application.healthy || entry.absence !== undefined) return false
    return entry.application.check === undefined ? true : entry.watch?.verdict
  }

  private watchOf(entry: Entry, restored: boolean | undefined): HealthWatch | undefined {
    const { check, id } = entry.application
    if (check === undefined) return undefined
    const watch = new HealthWatch(check, entry.application, restored, {
      clock: this.deps.clock,
      random: this.deps.random,
      probe: this.deps.probe,
      onVerdict: (isHealthy, reason) => {
        if (this.entries.get(id)?.watch !== watch) return
        this.tellHealth(id, isHealthy, isHealthy ? 'healthy' : `${check.kind} check: ${reason ?? 'unknown'}`)
        if (isHealthy) this.deps.log.info({ application: id }, `${id}: healthy`)
        else
          this.deps.log.warn(
            { application: id, reason },
            `${id}: unhealthy: ${check.kind} check: ${reason ?? 'unknown'}; the registry is told`,
          )
        this.announce(entry)
      },
    })
    return watch
  }

  private tellHealth(id: string, isHealthy: boolean, why: string): void {
    this.deps.timeline.turn({
      kind: 'application',
      about: id,
      what: isHealthy ? 'healthy' : 'unhealthy',
      message: isHealthy ? why : `unhealthy: ${why}`,
      severity: isHealthy ? 'info' : 'warning',
      isNormal: isHealthy,
    })
  }

  private announce(entry: Entry): void {
    if (!this.isLeading) return
    entry.refusal = undefined
    const wanted = this.registrationOf(entry)
    if (entry.handle !== undefined && entry.announced !== undefined) {
      if (wanted === undefined) return
      if (isSameInstance(entry.announced, wanted)) {
        const { weight, healthy, enabled, metadata } = wanted
        if (JSON.stringify(entry.announced) === JSON.stringify(wanted)) return
        entry.announced = wanted
        entry.handle.update({ weight, healthy, enabled, metadata })
        this.deps.onChanged()
        return
      }
      // another port or cluster is another instance: the new one comes before the old one goes
      const old = entry.handle
      entry.handle = undefined
      this.register(entry, wanted)
      void old.deregister(deregisterDeadlineMs)
      return
    }
    if (wanted !== undefined && this.waitsFor(entry) === undefined) this.register(entry, wanted)
  }

  private register(entry: Entry, registration: Registration): void {
    const adapter = this.adapterOf(entry.application)
    if (adapter === undefined) return
    try {
      entry.handle = adapter.register(registration)
      entry.announced = registration
      entry.registry = adapter.name
      this.deps.log.info(
        { application: entry.application.id, registry: adapter.name, port: registration.port },
        `${entry.application.id}: ${adapter.name} is asked to announce it with inbound port ${registration.port}`,
      )
      const { former } = entry
      entry.former = undefined
      if (former !== undefined && !isSameInstance(former.registration, registration))
        this.takeBack(
          former,
          `announced anew at ${endpointId(registration)}, before at ${endpointId(former.registration)}`,
        )
    } catch (error) {
      entry.refusal = describeError(error)
      this.deps.log.error({ application: entry.application.id }, `${entry.application.id}: ${entry.refusal}`)
    }
    this.deps.onChanged()
  }

  private takeBack(announced: NonNullable<KeptRegistration['announced']>, why: string): void {
    const { registry, registration } = announced
    const adapter = this.deps.adapters.find((one) => one.name === registry)
    if (adapter === undefined) return
    this.deps.log.info(
      { registry, service: registration.service.name, instance: endpointId(registration) },
      `${registration.service.name}: ${why}; ${registry} is asked to remove it`,
    )
    try {
      void adapter.register(registration).deregister(deregisterDeadlineMs)
    } catch (error) {
      this.deps.log.warn({ registry }, `${registration.service.name}: cannot be taken back: ${describeError(error)}`)
    }
  }

  private letGo(entry: Entry): void {
    entry.handle?.release()
    entry.handle = undefined
    entry.refusal = undefined
    entry.wasAnnounced = entry.announced !== undefined
  }

  private adapterOf(application: Application): RegistryAdapter | undefined {
    const { adapters } = this.deps
    if (application.registry !== undefined) return adapters.find((one) => one.name === application.registry)
    return adapters.find((one) => this.deps.takesRegistrations(one.name))
  }

  private registrationOf(entry: Entry): Registration | undefined {
    const { application, inboundPort } = entry
    const health = this.healthOf(entry)
    if (inboundPort === undefined || health === undefined) return undefined
    const { host } = this.deps
    const metadata: Record<string, string> = { ...application.metadata }
    metadata[metadataKeys.inbound] = 'true'
    metadata[metadataKeys.appPort] = String(application.port)
    metadata[metadataKeys.protocol] = application.protocol
    metadata[metadataKeys.mtls] = this.deps.mtlsOf(application) ?? 'off'
    if (host.zone !== '') metadata[metadataKeys.zone] ??= host.zone
    if (host.region !== '') metadata[metadataKeys.region] ??= host.region
    return {
      service: application.service,
      address: host.address,
      port: inboundPort,
      weight: application.weight,
      cluster: application.cluster ?? this.deps.clusterOf(this.adapterOf(application)?.name ?? ''),
      healthy: health && typeof entry.listener !== 'object',
      enabled: application.enabled,
      metadata,
    }
  }
}

function problemOf({ handle, refusal }: Entry): string | undefined {
  const problem = handle?.problem
  return problem === undefined ? refusal : `${problem.code}  ${problem.message}`
}

function isSameInstance(a: Registration, b: Registration): boolean {
  return sameService(a.service, b.service) && a.address === b.address && a.port === b.port && a.cluster === b.cluster
}

function sameService(a: ServiceName, b: ServiceName): boolean {
  return a.name === b.name && a.group === b.group && a.namespace === b.namespace
}
