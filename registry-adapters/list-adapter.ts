/**
 * What adapters have alike whose registry says "this is the list now": they keep what is wanted of them
 * (`desired-state.ts`) whether the registry is there or not. How it is asked is each adapter's own.
 */
import type { ServiceKey, ServiceName } from '../contracts/endpoint.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../contracts/registry-adapter.ts'
import { DesiredState } from './desired-state.ts'
import type { RegistrationDriver } from './kept-registration.ts'

export interface ListAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Endpoints of one service beyond this number are not taken. */
  readonly maxEndpoints: number
}

export abstract class ListAdapter implements RegistryAdapter {
  readonly name: string
  abstract readonly type: string
  readonly config = undefined
  protected readonly state: DesiredState
  protected readonly deps: AdapterDeps

  /** `driver`: undefined = nothing can be announced there. */
  protected constructor(
    { name, maxEndpoints }: ListAdapterConfig,
    driver: RegistrationDriver | undefined,
    deps: AdapterDeps,
  ) {
    this.name = name
    this.deps = deps
    this.state = new DesiredState(
      {
        registry: name,
        maxEndpoints,
        driver,
        onWanted: (key, service) => {
          if (this.canHave(service)) this.want(key, service)
          else this.state.answerNothing(key)
        },
        onDoubt: (key) => this.again(key),
        onUnwanted: (key) => this.release(key),
      },
      deps,
    )
  }

  abstract start(): void

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    this.checkAnnounced(registration.service)
    return this.state.registrations.register(registration)
  }

  abstract listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]>

  abstract status(): RegistryStatus

  abstract close(): Promise<void>

  /** False = the registry cannot know a service of that name, and is not asked for it. */
  protected abstract canHave(service: ServiceName): boolean

  /** Throws E_CONFIG_INVALID for a service that cannot be announced there. */
  protected abstract checkAnnounced(service: ServiceName): void

  /** Somebody wants it, and nobody did before; must not publish before it returns. */
  protected abstract want(key: ServiceKey, service: ServiceName): void

  /** Asks again for one that is wanted: the registry left something out. */
  protected abstract again(key: ServiceKey): void

  /** Nobody wants it any more; also called for what the registry cannot have. */
  protected abstract release(key: ServiceKey): void
}
