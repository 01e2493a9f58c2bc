/**
 * What an adapter is asked for, as its registry knows it or not: the services that are listened to, the applications
 * that are announced, and what of it is refused. For adapters whose registry says "this is the list now"; how the
 * registry is asked, and when it is away, is the adapter's matter.
 */
import type { ServiceKey } from '../contracts/endpoint.ts'
import type { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps, RegistryProblem, RegistryStatus } from '../contracts/registry-adapter.ts'
import type { RegistrationDriver } from './kept-registration.ts'
import { KeptRegistrations } from './kept-registrations.ts'
import { WatchedServices } from './watched-services.ts'
import type { WatchedServicesDeps } from './watched-services.ts'

export interface DesiredStateOptions extends Pick<
  WatchedServicesDeps,
  'registry' | 'maxEndpoints' | 'onWanted' | 'onDoubt' | 'onUnwanted'
> {
  /** undefined = nothing can be announced there. */
  readonly driver: RegistrationDriver | undefined
}

/** What the adapter alone knows of its registry. */
export interface RegistryReach {
  readonly type: string
  /** It answers what it is asked: an answer, not a living connection. */
  readonly connected: boolean
  readonly server: string | undefined
  readonly problem: RegistryProblem | undefined
}

export class DesiredState {
  readonly services: WatchedServices
  readonly registrations: KeptRegistrations
  private readonly registry: string
  private readonly deps: AdapterDeps
  /** Why a service cannot be read although the registry answers. */
  private readonly refusedByService = new Map<ServiceKey, RegistryProblem>()

  constructor(options: DesiredStateOptions, deps: AdapterDeps) {
    const { registry, maxEndpoints, driver } = options
    this.registry = registry
    this.deps = deps
    this.services = new WatchedServices({
      ...deps,
      registry,
      maxEndpoints,
      onWanted: options.onWanted,
      onDoubt: options.onDoubt,
      onUnwanted: (key) => {
        this.refusedByService.delete(key)
        options.onUnwanted(key)
      },
    })
    this.registrations = new KeptRegistrations(registry, driver, deps)
  }

  /** A service that this registry cannot have: no instance, once `subscribe` has returned. */
  answerNothing(key: ServiceKey): void {
    this.services.answerForeign(key)
  }

  /** A service that is wanted while the registry is away: said once `subscribe` has returned. */
  answerLost(key: ServiceKey, problem: MeshError): void {
    setImmediate(() => this.services.lose(this.problemOf(problem), key))
  }

  /** The registry answers, and will not or cannot say this one. */
  refused(key: ServiceKey, error: MeshError): void {
    const problem = this.problemOf(error)
    this.refusedByService.set(key, problem)
    this.services.lose(problem, key)
  }

  /** The registry says this one. */
  taken(key: ServiceKey): void {
    this.refusedByService.delete(key)
  }

  isRefused(key: ServiceKey): boolean {
    return this.refusedByService.has(key)
  }

  /** Nothing that is listened to can be read; where nothing is listened to, nothing that is announced is taken. */
  get isAllRefused(): boolean {
    const { asked } = this.services
    return asked > 0 ? this.refusedByService.size === asked : this.registrations.areAllDenied
  }

  /** What is wrong with the registry as a whole, or else the first refusal that is left. */
  problem(whole: MeshError | undefined): RegistryProblem | undefined {
    if (whole !== undefined) return this.problemOf(whole)
    return this.refusedByService.values().next().value ?? this.registrations.denial
  }

  /** The registry is away. */
  lost(error: MeshError): void {
    const problem = this.problemOf(error)
    this.registrations.lost(problem)
    this.services.lose(problem)
  }

  /** The registry is there (again), and may have forgotten everything. */
  back(): void {
    this.services.begin()
    this.refusedByService.clear()
    this.registrations.again()
  }

  status(reach: RegistryReach): RegistryStatus {
    return {
      name: this.registry,
      ...reach,
      subscriptions: this.services.size,
      registrations: this.registrations.size,
      lastHeardAt: this.services.lastHeardAt,
    }
  }

  /** As of now. */
  problemOf(error: MeshError): RegistryProblem {
    return { code: error.code, message: error.message, at: this.deps.clock.wall() }
  }
}
