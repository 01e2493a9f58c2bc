/** Names of services that the registries list, asked for at most every 10 s however many look. */
import { describeError } from '../../../../contracts/errors.ts'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'

export interface Listed {
  readonly names: readonly string[]
  /** Why a registry's names are missing or old. */
  readonly problems: readonly string[]
}

export interface ListedServicesDeps {
  readonly adapters: readonly RegistryAdapter[]
  readonly clock: Clock
}

const askEveryMs = 10_000
const timeoutMs = 2000
/** Of one registry. */
const most = 10_000

export class ListedServices {
  private readonly deps: () => ListedServicesDeps
  private asked: { readonly at: number; readonly answer: Promise<Listed> } | undefined
  /** The last good word of each registry. */
  private readonly known = new Map<string, readonly string[]>()

  constructor(deps: () => ListedServicesDeps) {
    this.deps = deps
  }

  ask(): Promise<Listed> {
    const now = this.deps().clock.monotonic()
    if (this.asked === undefined || now - this.asked.at >= askEveryMs) this.asked = { at: now, answer: this.list() }
    return this.asked.answer
  }

  private async list(): Promise<Listed> {
    const problems: string[] = []
    await Promise.all(
      this.deps().adapters.map(async (adapter) => {
        try {
          this.known.set(adapter.name, await adapter.listServices(most, AbortSignal.timeout(timeoutMs)))
        } catch (error) {
          problems.push(`${adapter.name}: ${describeError(error)}`)
        }
      }),
    )
    return { names: [...new Set([...this.known.values()].flat())], problems }
  }
}
