import { noFigures } from '../../../contracts/dry-run.ts'
import type { CandidateRules, DryRunAnswer, DryRunQuestion } from '../../../contracts/dry-run.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import { noFilterCounts } from '../filters/filter-counts.ts'
import type { FilterKind } from '../filters/kind.ts'
import { filterTable } from '../filters/table.ts'
import { VerdictCounts } from '../filters/verdict-counts.ts'
import { lazily } from '../lazily.ts'
import { RouteIds } from '../route/route-ids.ts'
import { compileVirtualHost } from '../route/virtual-host.ts'
import type * as DestinationsModule from './destinations.ts'
import type * as DryRunModule from './dry-run.ts'

type DryRun = DryRunModule.DryRun

const loadDryRun = lazily<typeof DryRunModule>(import.meta.url, './dry-run', 'a dry run')
const loadDestinations = lazily<typeof DestinationsModule>(import.meta.url, './destinations', 'a dry run')

export interface DryRunsDeps {
  readonly random: () => number
  /** Monotonic ms. */
  readonly now: () => number
  /** This worker's part of every local rate limit. */
  readonly limitShare: number
  /** Made anew for each dry run: what its filters count is nobody's. */
  readonly filterKinds: () => readonly FilterKind[]
  readonly service: (key: ServiceKey) => ServiceSpec | undefined
}

/** The dry run of a worker: one at a time, none for most of its life. */
export class DryRuns {
  /** What the data path asks. */
  run: DryRun | null = null
  /** Of the last one that is over: its figures are kept, its rules are not. */
  private ended: DryRunAnswer = { id: '', figures: noFigures, isOver: true }
  private readonly deps: DryRunsDeps

  constructor(deps: DryRunsDeps) {
    this.deps = deps
  }

  /** Throws E_SNAPSHOT_CORRUPT or E_PART_MISSING; what is under way goes on then. */
  answer(question: DryRunQuestion): DryRunAnswer {
    if (question.kind === 'begin-dry-run') this.begin(question.candidate)
    const { run } = this
    if (run === null) return this.ended
    if (question.kind === 'end-dry-run' || this.deps.now() >= run.endsAt) return this.end(run)
    return { id: run.id, figures: run.figures(), isOver: false }
  }

  private begin(candidate: CandidateRules): void {
    const { limitShare, random, service } = this.deps
    const { services, share, virtualHosts } = candidate
    const now = this.deps.now()
    const kinds = this.deps.filterKinds()
    // limits see the share alone, so they are given the same share of their rate
    const options = {
      ids: new RouteIds(),
      now,
      limitShare: limitShare * share,
      filters: filterTable(kinds, noFilterCounts(), new VerdictCounts(kinds)),
    }
    const hosts = new Map(Object.entries(virtualHosts).map(([name, spec]) => [name, compileVirtualHost(spec, options)]))
    const run: DryRun = new (loadDryRun().DryRun)(candidate, now, {
      random,
      hosts,
      destinations: new (loadDestinations().Destinations)(services, service),
      onEnd: () => {
        if (this.run === run) this.end(run)
      },
    })
    this.run = run
  }

  private end(run: DryRun): DryRunAnswer {
    this.run = null
    this.ended = { id: run.id, figures: run.figures(), isOver: true }
    return this.ended
  }
}
