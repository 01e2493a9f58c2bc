/**
 * The local applications that are announced, and the removals that are still under way: an instance that is wanted
 * again waits for its own removal.
 */
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { RegisteredInstance } from './registered-instance.ts'
import type { RegisteredInstanceDeps } from './registered-instance.ts'

export type RegistrationsDeps = Omit<RegisteredInstanceDeps, 'after' | 'onEnd' | 'onRemoval'>

export class Registrations {
  private readonly deps: RegistrationsDeps
  private readonly present = new Set<RegisteredInstance>()
  /** Removals that are under way, by instance. */
  private readonly removals = new Map<
    string,
    { readonly instance: RegisteredInstance; readonly removal: Promise<void> }
  >()

  constructor(deps: RegistrationsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.present.size
  }

  register(registration: Registration): RegisteredInstance {
    const key = identityOf(registration)
    const present = this.removals.get(key)
    present?.instance.supersede()
    const instance = new RegisteredInstance(registration, {
      ...this.deps,
      after: present?.removal,
      onEnd: (self) => {
        this.present.delete(self)
      },
      onRemoval: (self, removal) => {
        const entry = { instance: self, removal }
        this.removals.set(key, entry)
        void removal.finally(() => {
          if (this.removals.get(key) === entry) this.removals.delete(key)
        })
      },
    })
    this.present.add(instance)
    return instance
  }

  /** Those that fail try again now. */
  tryNow(): void {
    for (const instance of this.present) instance.tryNow()
  }

  async close(): Promise<void> {
    await Promise.all([...this.present].map((instance) => instance.close()))
  }
}

/** Same service, address, port and cluster = the same instance. */
function identityOf({ service, address, port, cluster }: Registration): string {
  return `${serviceKey(service)} ${address} ${port} ${cluster}`
}
