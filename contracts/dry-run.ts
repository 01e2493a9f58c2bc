/**
 * Dry runs: a rule in a new version is evaluated beside the one in force for a share of the requests, without effect.
 *
 * A host's control compiles the new version against its own rules and hands the result to its workers
 * (`CandidateRules`, over `control-link.ts`), which compare each request of the share with what really became of it and
 * count (`DryRunFigures`). A center orders one of its hosts with the answer to their reports (`DryRunOrder`) and reads
 * what they found in the next ones (`DryRunReport`).
 */
import type { ServiceKey } from './endpoint.ts'
import type { VirtualHostSpec } from './route-spec.ts'
import type { ServiceSpec } from './snapshot.ts'

/**
 * What would be otherwise. `destination`: it goes elsewhere. `refused`: it is answered with an error instead of being
 * sent on, `admitted`: the other way round. `answer`: another answer, a redirect included. `delay`: it waits on
 * purpose. `timeout`, `retries`: of its route. `edits`: its head, path or copies. `policy`: the traffic policy of its
 * destination.
 */
export const dryRunKinds = [
  'destination',
  'refused',
  'admitted',
  'answer',
  'delay',
  'timeout',
  'retries',
  'edits',
  'policy',
] as const
export type DryRunKind = (typeof dryRunKinds)[number]

export const dryRunBounds = {
  /** Longest text of a rule, bytes. */
  ruleBytes: 64 * 1024,
  /** Longest time, ms. */
  ms: 3_600_000,
  /** Virtual hosts and services that one may touch on a host. */
  hosts: 500,
  /** Rows of differences that are told apart; the others are added up. */
  differences: 50,
  /** Characters of each text of a row. */
  text: 300,
} as const

/** What control asks of its workers: the new version, compiled. */
export interface CandidateRules {
  readonly id: string
  /** 0..1 of the requests that a virtual host or destination of it gets. */
  readonly share: number
  /** From now on. */
  readonly ms: number
  /** Virtual hosts that would be otherwise, by name. */
  readonly virtualHosts: Readonly<Record<string, VirtualHostSpec>>
  /** Policies and subsets that would be otherwise. */
  readonly services: Readonly<Record<ServiceKey, CandidateService>>
}

export type CandidateService = Pick<ServiceSpec, 'policy' | 'subsets' | 'portPolicies'>

/** What was found so far. All figures grow. */
export interface DryRunFigures {
  /** Requests that were evaluated. */
  readonly evaluated: number
  /** Of these: something would be otherwise. */
  readonly different: number
  /** Of these: it cannot be told, since somebody else would have to be asked. */
  readonly undecided: number
  /** The evaluation itself failed. */
  readonly failed: number
  /** Why it failed at first; '' = it did not. */
  readonly failure: string
  /** The most frequent first. */
  readonly differences: readonly DryRunDifference[]
  /** Differences that are in no row. */
  readonly others: number
}

export interface DryRunDifference {
  readonly kind: DryRunKind
  /** Virtual host. */
  readonly host: string
  /** Name of the route in force; '' = none matches. */
  readonly route: string
  readonly now: string
  readonly then: string
  readonly requests: number
  /** Method and path of the first one, without its query; '' where paths are not told. */
  readonly example: string
}

/** Answer of a worker. */
export interface DryRunAnswer {
  /** '' = it has none. */
  readonly id: string
  readonly figures: DryRunFigures
  readonly isOver: boolean
}

export type DryRunQuestion =
  /** Answer: DryRunAnswer. Another one under way ends. E_SNAPSHOT_CORRUPT for rules that cannot be compiled. */
  | { readonly kind: 'begin-dry-run'; readonly candidate: CandidateRules }
  /** Answer: DryRunAnswer. */
  | { readonly kind: 'dry-run' }
  /** Answer: DryRunAnswer, the last one of it. */
  | { readonly kind: 'end-dry-run' }

/** A center to a host. */
export interface DryRunOrder {
  readonly id: string
  /** YAML or JSON, one resource. */
  readonly rule: string
  readonly share: number
  /** From now on; 0 = it ends now. */
  readonly ms: number
}

/**
 * `refused`: this host cannot do it, `problem` says why. `running` and `over` may have a problem too: workers that gave
 * no answer.
 */
export interface DryRunReport {
  readonly id: string
  readonly state: 'running' | 'over' | 'refused'
  readonly problem: string
  /** Without examples where a host tells a center. */
  readonly figures: DryRunFigures
}

/** What operators see, of an agent and of a center alike: `/rules/dry-run`. */
export interface DryRunView {
  readonly id: string
  /** `VirtualService shop/orders`. */
  readonly rule: string
  readonly user: string
  readonly share: number
  /** Epoch ms. */
  readonly startedAt: number
  readonly endsAt: number
  /** `refused`: no host does it. */
  readonly state: 'running' | 'over' | 'refused'
  readonly hosts: readonly {
    readonly host: string
    /** `asked`: it has not said anything yet. */
    readonly state: DryRunReport['state'] | 'asked'
    readonly problem: string
    readonly evaluated: number
    readonly different: number
  }[]
  readonly figures: DryRunFigures
}

export const noFigures: DryRunFigures = {
  evaluated: 0,
  different: 0,
  undecided: 0,
  failed: 0,
  failure: '',
  differences: [],
  others: 0,
}

/** Pure. */
export function addedFigures(all: readonly DryRunFigures[]): DryRunFigures {
  const rows = new Map<string, DryRunDifference>()
  let others = 0
  for (const figures of all) {
    others += figures.others
    for (const row of figures.differences) {
      const key = JSON.stringify([row.kind, row.host, row.route, row.now, row.then])
      const known = rows.get(key)
      rows.set(key, known === undefined ? row : { ...known, requests: known.requests + row.requests })
    }
  }
  const ordered = [...rows.values()].toSorted((a, b) => b.requests - a.requests)
  const sum = (field: 'evaluated' | 'different' | 'undecided' | 'failed'): number =>
    all.reduce((total, figures) => total + figures[field], 0)
  return {
    evaluated: sum('evaluated'),
    different: sum('different'),
    undecided: sum('undecided'),
    failed: sum('failed'),
    failure: all.find(({ failure }) => failure !== '')?.failure ?? '',
    differences: ordered.slice(0, dryRunBounds.differences),
    others: others + ordered.slice(dryRunBounds.differences).reduce((total, { requests }) => total + requests, 0),
  }
}
