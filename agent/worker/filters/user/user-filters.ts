/** The filters of users that this worker runs, by name, as the configuration of the host has them. */
import { isDeepStrictEqual } from 'node:util'
import { pathToFileURL } from 'node:url'
import type { MakeFilter } from '../../../../contracts/user-filter.ts'
import type { UserFilterDump, UserFilterSpec, UserFilterState } from '../../../../contracts/user-filter-spec.ts'
import { FailureCounts } from './failure-counts.ts'
import { GuardedFilter } from './guarded-filter.ts'
import { HangWatch } from './hang-watch.ts'
import { lazily } from '../../lazily.ts'
import type * as LoadModule from './load-module.ts'
import { realPath } from './real-path.ts'
import { RunningCell } from './running-cell.ts'

const loading = lazily<typeof LoadModule>(import.meta.url, './load-module', 'filters of users')

export interface UserFiltersDeps {
  /** Monotonic ms. */
  readonly now: () => number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Where marks of filters lie that held a worker up; undefined = nobody watches. */
  readonly marksDirectory: string | undefined
  readonly load?: (spec: UserFilterSpec) => Promise<MakeFilter>
}

export class UserFilters {
  readonly failures: FailureCounts = new FailureCounts()
  readonly cell: RunningCell
  private readonly deps: UserFiltersDeps
  private readonly watch: HangWatch | undefined
  private filters = new Map<string, GuardedFilter>()

  constructor(deps: UserFiltersDeps) {
    this.deps = deps
    const { marksDirectory } = deps
    this.watch =
      marksDirectory === undefined
        ? undefined
        : new HangWatch(marksDirectory, (name) => this.filters.get(name)?.markHung())
    this.cell = this.watch?.cell ?? new RunningCell()
  }

  /** undefined: this host's configuration has none of that name. */
  get(name: string): GuardedFilter | undefined {
    return this.filters.get(name)
  }

  /** Those of the configuration; one that is as it was goes on. */
  take(specs: readonly UserFilterSpec[]): void {
    if (specs.length === 0 && this.filters.size === 0) return
    this.filters = new Map(
      specs.map((spec) => {
        const former = this.filters.get(spec.name)
        return [spec.name, former !== undefined && isDeepStrictEqual(former.spec, spec) ? former : this.make(spec)]
      }),
    )
  }

  /** Every filter is on or has failed. */
  async settled(): Promise<void> {
    await Promise.all([...this.filters.values()].map(({ settled }) => settled))
  }

  /** Something was thrown where nobody waited for it. True = a filter threw it, and the worker goes on. */
  takesBlame(error: unknown): boolean {
    const { stack } = Object(error) as { stack?: unknown }
    if (typeof stack !== 'string') return false
    for (const filter of this.filters.values()) {
      const { path } = filter.spec
      if (path === undefined) continue
      const real = realPath(path)
      if (!stack.includes(real) && !stack.includes(pathToFileURL(real).href)) continue
      filter.fail('stray', error)
      return true
    }
    return false
  }

  dumps(): UserFilterDump[] {
    return [...this.filters.values()].map(({ dump }) => dump)
  }

  /** Labels are filter and state. */
  stateSamples(): { readonly labels: readonly [filter: string, state: UserFilterState]; readonly value: number }[] {
    return this.dumps().map(({ name, state }) => ({ labels: [name, state], value: 1 }))
  }

  close(): void {
    this.watch?.close()
  }

  private make(spec: UserFilterSpec): GuardedFilter {
    const { load = loading().loadModule, log, now } = this.deps
    // what comes with us needs no thread beside it
    const number =
      this.watch === undefined || spec.path === undefined
        ? 0
        : this.watch.watch(spec.name, spec.path, loading().fingerprintOf(spec))
    return new GuardedFilter(spec, number, { now, log, load, cell: this.cell, tally: this.failures.tally(spec.name) })
  }
}
