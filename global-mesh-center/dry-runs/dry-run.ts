/** One dry run of a center: which hosts are asked, and what they told. */
import {
  addedFigures,
  noFigures,
  type DryRunFigures,
  type DryRunOrder,
  type DryRunReport,
  type DryRunView,
} from '../../contracts/dry-run.ts'
import type { Clock } from '../../contracts/clock.ts'

/** Hosts tell of the end with their next report: they are waited for so long, ms. */
const graceMs = 15_000

export interface DryRunFacts {
  readonly id: string
  /** `VirtualService shop/orders`. */
  readonly rule: string
  readonly namespace: string
  /** What hosts are given. */
  readonly text: string
  readonly user: string
  readonly share: number
  readonly ms: number
  readonly hosts: readonly string[]
}

interface Told {
  report: DryRunReport
  /** Of times before, added up: its agent was restarted. */
  kept: DryRunFigures
}

export class DryRun {
  readonly facts: DryRunFacts
  private readonly clock: Clock
  private readonly startedAt: number
  /** Monotonic ms. */
  private endsAt: number
  private readonly told = new Map<string, Told>()
  private isStopped = false

  constructor(facts: DryRunFacts, clock: Clock) {
    this.facts = facts
    this.clock = clock
    this.startedAt = clock.wall()
    this.endsAt = clock.monotonic() + facts.ms
  }

  /** undefined = this host is not asked, or the time is over. */
  orderFor(host: string): DryRunOrder | undefined {
    const { id, hosts, share, text } = this.facts
    if (!hosts.includes(host)) return undefined
    const ms = Math.round(this.endsAt - this.clock.monotonic())
    // it ends by itself, unless it is to end before its time
    if (ms < 1000 && !this.isStopped) return undefined
    return { id, rule: text, share, ms: this.isStopped ? 0 : ms }
  }

  take(host: string, report: DryRunReport | undefined): void {
    if (report?.id !== this.facts.id || !this.facts.hosts.includes(host)) return
    const known = this.told.get(host)
    const isAnew = known !== undefined && report.figures.evaluated < known.report.figures.evaluated
    this.told.set(host, { report, kept: isAnew ? figuresOf(known) : (known?.kept ?? noFigures) })
  }

  stop(): void {
    this.isStopped = true
    this.endsAt = Math.min(this.endsAt, this.clock.monotonic())
  }

  get isRunning(): boolean {
    return this.state === 'running'
  }

  view(): DryRunView {
    const { startedAt, facts } = this
    const { id, rule, user, share, ms, hosts } = facts
    return {
      id,
      rule,
      user,
      share,
      startedAt,
      endsAt: startedAt + ms,
      state: this.state,
      hosts: hosts.map((host) => {
        const told = this.told.get(host)
        if (told === undefined) return { host, state: 'asked', problem: '', evaluated: 0, different: 0 }
        const { evaluated, different } = figuresOf(told)
        const { state, problem } = told.report
        return { host, state, problem, evaluated, different }
      }),
      figures: addedFigures([...this.told.values()].map(figuresOf)),
    }
  }

  private get state(): DryRunView['state'] {
    const states = this.facts.hosts.map((host) => this.told.get(host)?.report.state)
    if (states.every((state) => state === 'refused')) return 'refused'
    if (states.every((state) => state === 'over' || state === 'refused')) return 'over'
    return this.clock.monotonic() >= this.endsAt + graceMs ? 'over' : 'running'
  }
}

function figuresOf({ report, kept }: Told): DryRunFigures {
  return addedFigures([kept, report.figures])
}
