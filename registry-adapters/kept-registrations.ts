/** All local applications that an adapter keeps at its registry, by instance. */
import { endpointId, serviceKey } from '../contracts/endpoint.ts'
import { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps, Registration, RegistrationHandle, RegistryProblem } from '../contracts/registry-adapter.ts'
import { KeptRegistration } from './kept-registration.ts'
import type { RegistrationDriver } from './kept-registration.ts'

export class KeptRegistrations {
  private readonly registry: string
  private readonly driver: RegistrationDriver | undefined
  private readonly deps: AdapterDeps
  private readonly kept = new Set<KeptRegistration>()
  /** Removals that are under way, by instance: the same instance is written again only after them. */
  private readonly removals = new Map<string, Promise<void>>()

  constructor(registry: string, driver: RegistrationDriver | undefined, deps: AdapterDeps) {
    this.registry = registry
    this.driver = driver
    this.deps = deps
  }

  get size(): number {
    return this.kept.size
  }

  /** There are some, and the registry denies each. */
  get areAllDenied(): boolean {
    return this.kept.size > 0 && [...this.kept].every(isDenied)
  }

  /** Why it denies the first one that it does. */
  get denial(): RegistryProblem | undefined {
    return [...this.kept].find(isDenied)?.problem
  }

  /** Throws E_CONFIG_INVALID where nothing can be announced. */
  register(registration: Registration): RegistrationHandle {
    const { driver } = this
    if (driver === undefined)
      throw new MeshError('E_CONFIG_INVALID', `registry ${this.registry}: nothing can be announced there`)
    const id = instanceOf(registration)
    const kept = new KeptRegistration(registration, {
      registry: this.registry,
      driver,
      clock: this.deps.clock,
      random: this.deps.random,
      log: this.deps.log,
      metrics: this.deps.metrics,
      after: this.removals.get(id),
      onEnd: (self) => void this.kept.delete(self),
    })
    this.kept.add(kept)
    return {
      get state() {
        return kept.state
      },
      get problem() {
        return kept.problem
      },
      update: (change) => kept.update(change),
      release: () => kept.release(),
      deregister: async (deadlineMs) => {
        const removal = kept.deregister(deadlineMs)
        this.removals.set(id, removal)
        await removal
        if (this.removals.get(id) === removal) this.removals.delete(id)
      },
    }
  }

  /** The registry may have forgotten everything. */
  again(): void {
    for (const kept of this.kept) kept.again()
  }

  /** The registry is away. */
  lost(problem: RegistryProblem): void {
    for (const kept of this.kept) kept.lost(problem)
  }

  /** Lets go of all without a trace, and waits for the steps that are under way. */
  async close(): Promise<void> {
    await Promise.all([...this.kept].map((kept) => kept.close()))
    await Promise.all(this.removals.values())
  }
}

function isDenied({ problem }: KeptRegistration): boolean {
  return problem?.code === 'E_REGISTRY_DENIED'
}

function instanceOf(registration: Registration): string {
  return `${serviceKey(registration.service)} ${endpointId(registration)} ${registration.cluster}`
}
