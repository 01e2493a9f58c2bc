/** What adapters have alike that know by a cheap question now and then (`pulse.ts`) whether their registry is there. */
import type { ServiceKey, ServiceName } from '../contracts/endpoint.ts'
import type { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps, RegistryProblem, RegistryStatus } from '../contracts/registry-adapter.ts'
import type { RegistrationDriver } from './kept-registration.ts'
import { ListAdapter } from './list-adapter.ts'
import type { ListAdapterConfig } from './list-adapter.ts'
import { Pulse } from './pulse.ts'

export interface PulsedAdapterConfig extends ListAdapterConfig {
  /** ms between looks at whether the registry can be asked at all. */
  readonly pulseMs: number
}

export abstract class PulsedAdapter extends ListAdapter {
  protected readonly pulse: Pulse

  protected constructor(config: PulsedAdapterConfig, driver: RegistrationDriver | undefined, deps: AdapterDeps) {
    super(config, driver, deps)
    this.pulse = new Pulse(
      {
        registry: config.name,
        everyMs: config.pulseMs,
        ask: async () => {
          await this.ping()
          if (!this.isAllRefused) this.state.services.alive()
        },
        onLost: (problem) => {
          this.lost()
          this.state.lost(problem)
        },
        onBack: () => {
          this.state.back()
          this.back()
        },
      },
      deps,
    )
  }

  start(): void {
    this.pulse.start()
  }

  status(): RegistryStatus {
    const { isAlive, problem } = this.pulse
    return this.state.status({
      type: this.type,
      connected: isAlive && !this.isAllRefused,
      server: isAlive ? this.server : undefined,
      problem: this.problem(problem),
    })
  }

  async close(): Promise<void> {
    this.state.services.close()
    this.pulse.close()
    this.stop()
    await this.state.registrations.close()
    this.closeClient()
  }

  /** Follows a service from now on; one that is followed while the registry is away is asked for when it is back. */
  protected abstract follow(key: ServiceKey, service: ServiceName): void

  /** The cheap question; rejects with a MeshError when the registry cannot be asked. */
  protected abstract ping(): Promise<void>

  /** The server that is talked to now, as `host:port`. */
  protected abstract get server(): string | undefined

  /** The registry is away: nothing more is asked until `back()`. */
  protected abstract lost(): void

  /** The registry is there (again): everything that is wanted is asked for. */
  protected abstract back(): void

  /** Asks for no service any more; registrations may still be under way. */
  protected abstract stop(): void

  /** Nothing is under way any more. */
  protected abstract closeClient(): void

  /** Nothing that is wanted can be read although the registry answers. */
  protected get isAllRefused(): boolean {
    return this.state.isAllRefused
  }

  /** What `status()` says is wrong; `whole`: with the registry as a whole. */
  protected problem(whole: MeshError | undefined): RegistryProblem | undefined {
    return this.state.problem(whole)
  }

  protected want(key: ServiceKey, service: ServiceName): void {
    this.follow(key, service)
    const { isLost, problem } = this.pulse
    if (isLost && problem !== undefined) this.state.answerLost(key, problem)
  }
}
