/**
 * Watches one roll-out by the reports of its hosts and of the others, and says when it is over and why. It begins when
 * this center first sees the roll-out: what came before counts as before.
 */
import type { KnownHost } from '../hosts/host-table.ts'
import { documentName } from '../../agent/control/rules-api/rule-object.ts'
import { judge } from './judge.ts'
import { LatencyWatch } from './latency-watch.ts'
import type { Rollout } from './rollout.ts'
import { added, figuresOf, HostSignals, type Signals } from './signals.ts'

export interface RolloutFigures {
  readonly share: Signals
  readonly rest: Signals
}

export type RolloutEnd = { readonly state: 'done' | 'reverted'; readonly reason: string }

/** Without enough requests it waits so many times the time that it was to be observed. */
const patience = 3

export class RolloutObserver {
  private readonly hosts = new Map<string, { readonly signals: HostSignals; heardAt: number }>()
  private readonly services: ReadonlySet<string> | undefined
  private bucketsMs: readonly number[] = []
  /** Hosts that refused the rule before they could have the new version: what they say of it is about another one. */
  private readonly refusedBefore = new Set<string>()
  private readonly document: string
  private readonly share: ReadonlySet<string>
  private latency: LatencyWatch | undefined

  /** `services`: about which the rule decides, `public/orders`; undefined = all. */
  constructor({ hosts, object }: Pick<Rollout, 'hosts' | 'object'>, services: ReadonlySet<string> | undefined) {
    const { kind, metadata } = object
    this.document = documentName(kind, metadata.namespace, metadata.name)
    this.share = new Set(hosts)
    this.services = services
  }

  take(hosts: readonly KnownHost[]): void {
    for (const { name, report, heardAt } of hosts) {
      const present = this.hosts.get(name)
      if (present?.heardAt === heardAt) continue
      const figures = figuresOf(report, this.services)
      if (report.bucketsMs.length > 0) this.bucketsMs = report.bucketsMs
      const isRefusing = this.refusal(report) !== undefined
      if (!isRefusing) this.refusedBefore.delete(name)
      if (present === undefined) {
        this.hosts.set(name, { signals: new HostSignals(figures), heardAt })
        if (isRefusing) this.refusedBefore.add(name)
      } else {
        present.signals.take(figures)
        present.heardAt = heardAt
      }
    }
  }

  figures(): RolloutFigures {
    const of = (isMeant: boolean): Signals =>
      added(
        [...this.hosts].flatMap(([name, { signals }]) => (this.share.has(name) === isMeant ? [signals.figures()] : [])),
        this.bucketsMs,
      )
    return { share: of(true), rest: of(false) }
  }

  /** undefined = it goes on. `now`: epoch ms. */
  end(rollout: Rollout, hosts: readonly KnownHost[], now: number): RolloutEnd | undefined {
    const { limits, observeMs, startedAt } = rollout
    const observed = now - startedAt
    const alive = hosts.filter(({ name, state }) => state !== 'silent' && this.share.has(name))
    if (alive.length === 0)
      return { state: 'reverted', reason: `none of its ${this.share.size} hosts reports any more` }
    for (const { name, report } of alive) {
      const refusal = this.refusal(report)
      if (refusal !== undefined && (observed >= observeMs || !this.refusedBefore.has(name)))
        return { state: 'reverted', reason: `host ${name} refuses it: ${refusal}` }
    }
    const { share, rest } = this.figures()
    const compared = this.compared(limits, rest)
    const { verdict, reason } = judge(share, compared, limits)
    if (verdict === 'bad') return { state: 'reverted', reason }
    this.latency ??= new LatencyWatch(observeMs, startedAt)
    const slower = this.latency.look(share, compared, limits, now)
    if (slower !== undefined) return { state: 'reverted', reason: slower }
    if (verdict === 'good') return observed >= observeMs ? { state: 'done', reason } : undefined
    return observed >= observeMs * patience ? { state: 'reverted', reason: `not judged: ${reason}` } : undefined
  }

  private refusal({ rules }: KnownHost['report']): string | undefined {
    return rules.rejected.find(
      ({ kind, name, namespace, state }) =>
        state === 'rejected' && documentName(kind, namespace, name) === this.document,
    )?.message
  }

  /** The rest, or where it has too little traffic the share as it was before. */
  private compared({ minRequests }: Rollout['limits'], rest: Signals): Signals {
    if (rest.requests >= minRequests) return rest
    const before = [...this.share].flatMap((name) => this.hosts.get(name)?.signals.before ?? [])
    const earlier = added(before, this.bucketsMs)
    return earlier.requests >= minRequests ? earlier : rest
  }
}
