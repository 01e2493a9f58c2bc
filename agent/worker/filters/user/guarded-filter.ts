import { describeError } from '../../../../contracts/errors.ts'
import type { FilterHost, MakeFilter, UserFilter } from '../../../../contracts/user-filter.ts'
import type { UserFilterDump, UserFilterSpec, UserFilterState } from '../../../../contracts/user-filter-spec.ts'
import type { FailureKind } from './failure-counts.ts'
import type { RunningCell } from './running-cell.ts'

/** Failures are counted in spans of this time, ms, and logged once in it. */
const spanMs = 10_000
/** Lines that a filter itself may log in it. */
const maxLines = 10
/** Of a module with everything that it waits for, ms. */
export const loadMs = 10_000
const heldUp = 'it held a worker up; it is run again when its file or its settings have changed'
const noHooks: UserFilter = {}

export interface GuardedFilterDeps {
  /** Monotonic ms. */
  readonly now: () => number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  readonly cell: RunningCell
  readonly tally: Record<FailureKind, number>
  /** Reads its module. Throws what is wrong. */
  readonly load: (spec: UserFilterSpec) => Promise<MakeFilter>
}

/**
 * One filter of a user, and what keeps it from harming more than its own requests: what it throws is counted, and with
 * more than `maxFailures` in ten seconds it is off for `offTime`.
 */
export class GuardedFilter {
  readonly spec: UserFilterSpec
  hooks: UserFilter = noHooks
  state: UserFilterState = 'loading'
  why = ''
  /** Of its calls in the cell; 0 = nobody watches. */
  number = 0
  readonly settled: Promise<void>
  private readonly deps: GuardedFilterDeps
  private onUntil = Number.POSITIVE_INFINITY
  private spanEnd = Number.NEGATIVE_INFINITY
  private inSpan = 0
  private lines = 0
  private linesEnd = Number.NEGATIVE_INFINITY

  /** `number`: undefined = it held a worker up, and is not run. */
  constructor(spec: UserFilterSpec, number: number | undefined, deps: GuardedFilterDeps) {
    this.spec = spec
    this.deps = deps
    this.number = number ?? 0
    if (number === undefined) {
      this.turnOff(heldUp)
      this.settled = Promise.resolve()
    } else this.settled = this.make()
  }

  /** It may be run now; a filter that was off long enough is tried again. */
  isOn(now: number): boolean {
    if (this.state === 'on') return true
    if (this.state !== 'off' || now < this.onUntil) return false
    this.state = 'on'
    this.why = ''
    this.inSpan = 0
    this.deps.log('info', `filter ${this.spec.name} is on again`)
    return true
  }

  fail(kind: FailureKind, error: unknown): void {
    const { deps, spec } = this
    const now = deps.now()
    deps.tally[kind]++
    const isFirst = now >= this.spanEnd
    if (isFirst) {
      this.spanEnd = now + spanMs
      this.inSpan = 0
    }
    this.inSpan++
    if (isFirst) deps.log('warn', `E_FILTER_FAILED  filter ${spec.name}: ${kind}: ${said(error)}; ${this.consequence}`)
    if (this.state === 'on' && this.inSpan > spec.maxFailures) {
      this.onUntil = now + spec.offMs
      this.turnOff(`${this.inSpan} failures in ${spanMs / 1000} s, the last: ${kind}: ${said(error)}`)
    }
  }

  /** A worker beside this one had to end. */
  markHung(): void {
    if (this.why === heldUp || this.state === 'failed') return
    this.onUntil = Number.POSITIVE_INFINITY
    this.deps.tally.hung++
    this.turnOff(heldUp)
  }

  get dump(): UserFilterDump {
    const { deps, spec, state, why } = this
    const failures = Object.values(deps.tally).reduce((sum, one) => sum + one, 0)
    return { name: spec.name, state, why, failures }
  }

  /** What becomes of requests that it does not judge. */
  get consequence(): string {
    return this.spec.failOpen ? 'requests go on without it' : 'its requests are refused with 503'
  }

  private turnOff(why: string): void {
    this.state = 'off'
    this.why = why
    this.deps.log('error', `E_FILTER_FAILED  filter ${this.spec.name} is off: ${why}; ${this.consequence}`)
  }

  private async make(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`its module was not there after ${loadMs / 1000} s`)), loadMs)
      timer.unref()
    })
    try {
      const filter = await Promise.race([this.loaded(), late])
      if (typeof filter !== 'object' || filter === null) throw new TypeError('its function made no object')
      for (const hook of ['onRequestHead', 'onRequestBody', 'onReplyHead'] as const) {
        const given: unknown = filter[hook]
        if (given !== undefined && typeof given !== 'function') throw new TypeError(`${hook} is no function`)
      }
      this.hooks = filter
      if (this.state === 'loading') this.state = 'on'
    } catch (error) {
      this.deps.tally.load++
      this.state = 'failed'
      this.why = said(error)
      this.deps.log(
        'error',
        `E_FILTER_FAILED  filter ${this.spec.name} cannot be run: ${this.why}; ${this.consequence}`,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  private async loaded(): Promise<UserFilter> {
    const { deps, spec } = this
    const make = await deps.load(spec)
    const host: FilterHost = { name: spec.name, directory: spec.directory, log: (message) => this.say(message) }
    let made: UserFilter | Promise<UserFilter>
    deps.cell.enter(this.number)
    try {
      made = make(spec.settings, host)
    } finally {
      deps.cell.leave()
    }
    return await made
  }

  private say(message: unknown): void {
    const now = this.deps.now()
    if (now >= this.linesEnd) {
      this.linesEnd = now + spanMs
      this.lines = 0
    }
    if (this.lines++ < maxLines) this.deps.log('info', `filter ${this.spec.name}: ${said(message)}`)
  }
}

/** One short line. */
function said(error: unknown): string {
  let text: string
  try {
    text = error instanceof Error ? describeError(error) : String(error)
  } catch {
    text = 'something that cannot be shown'
  }
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, 300)
}
