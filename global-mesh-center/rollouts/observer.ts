/**
 * Watches one roll-out by the reports of its hosts and of the others, and says when it is over and why. It begins when
 * this center first sees the roll-out: what came before counts as before, of each host from the first report on that is
 * heard here.
 */
import type { KnownHost } from '../hosts/host-table.ts'
import { documentName } from '../../agent/control/rules-api/rule-object.ts'
import { FailureWindows } from './failure-windows.ts'
import { InForce } from './in-force.ts'
import { judge } from './judge.ts'
import { LatencyWatch } from './latency-watch.ts'
import type { Rollout } from './rollout.ts'
import { added, HostSignals, type Signals } from './signals.ts'

export interface RolloutFigures {
  readonly share: Signals
  readonly rest: Signals
}

export type RolloutEnd = { readonly state: 'done' | 'reverted'; readonly reason: string }

/** What the new version is about. */
export interface RolloutRule {
  /** About which it decides, `public/orders`; undefined = all. */
  readonly services: ReadonlySet<string> | undefined
  /** As hosts say it: `contracts/host-report.ts`. */
  readonly version: string
}

/** Without enough requests it waits so many times the time that it was to be observed. */
const patience = 3
/** A center to which nobody of the share reports leaves it to the others for so long beyond that, ms. */
const strangerMs = 60_000
/** All of the share had it for half of the time, at most so long, ms. */
const longestSettlingMs = 60_000

export class RolloutObserver {
  private readonly hosts = new Map<string, { readonly signals: HostSignals; heardAt: number }>()
  private readonly services: ReadonlySet<string> | undefined
  private bucketsMs: readonly number[] = []
  /** Hosts that refused the rule before they could have the new version: what they say of it is about another one. */
  private readonly refusedBefore = new Set<string>()
  private readonly document: string
  private readonly share: ReadonlySet<string>
  private readonly inForce: InForce
  private readonly windows = new FailureWindows()
  private latency: LatencyWatch | undefined
  /** Some host of the share spoke here meanwhile. */
  private isHeard = false
  /** Epoch ms; undefined = some host of the share does not have it. */
  private inForceSince: number | undefined

  constructor({ hosts, object }: Pick<Rollout, 'hosts' | 'object'>, { services, version }: RolloutRule) {
    const { kind, metadata } = object
    this.document = documentName(kind, metadata.namespace, metadata.name)
    this.share = new Set(hosts)
    this.services = services
    this.inForce = new InForce({ document: this.document, version, share: hosts })
  }

  take(hosts: readonly KnownHost[]): void {
    for (const { name, report, heardAt, isHeardHere, state } of hosts) {
      // of an adopted one the counters are unknown
      if (!isHeardHere) continue
      if (state !== 'silent' && this.share.has(name)) this.isHeard = true
      const present = this.hosts.get(name)
      if (present?.heardAt === heardAt) continue
      if (report.bucketsMs.length > 0) this.bucketsMs = report.bucketsMs
      const isRefusing = this.refusal(report) !== undefined
      if (!isRefusing) this.refusedBefore.delete(name)
      if (present === undefined) {
        this.hosts.set(name, { signals: new HostSignals(report, this.services), heardAt })
        if (isRefusing) this.refusedBefore.add(name)
      } else {
        present.signals.take(report)
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
    const reverted = (reason: string): RolloutEnd => ({ state: 'reverted', reason })
    const members = hosts.filter(({ name }) => this.share.has(name))
    if (!this.isHeard && members.every(({ heardAt }) => heardAt < startedAt))
      return observed >= observeMs * patience + strangerMs
        ? reverted(`none of its ${this.share.size} hosts has reported to this center`)
        : undefined
    const alive = members.filter(({ state }) => state !== 'silent')
    if (alive.length === 0) return reverted(`none of its ${this.share.size} hosts reports any more`)
    for (const { isHeardHere, name, report } of alive) {
      const refusal = isHeardHere ? this.refusal(report) : undefined
      if (refusal !== undefined && (observed >= observeMs || !this.refusedBefore.has(name)))
        return reverted(`host ${name} refuses it: ${refusal}`)
    }
    const { share, rest } = this.figures()
    const compared = this.compared(limits, rest)
    const { verdict, reason } = judge(share, compared, limits)
    if (verdict === 'bad') return reverted(reason)
    this.latency ??= new LatencyWatch(observeMs, startedAt)
    const worse =
      this.windows.look(share, rest, compared, limits, now) ?? this.latency.look(share, compared, limits, now)
    if (worse !== undefined) return reverted(worse)
    const missing = this.inForce.missing(members, (name) => this.hosts.get(name)?.signals.figures().requests ?? 0)
    if (missing === undefined) this.inForceSince ??= now
    else this.inForceSince = undefined
    const hadMs = this.inForceSince === undefined ? -1 : now - this.inForceSince
    const isSettled = hadMs >= Math.min(observeMs / 2, longestSettlingMs)
    if (verdict === 'good' && isSettled && observed >= observeMs) return { state: 'done', reason }
    if (observed < observeMs * patience) return undefined
    return reverted(`not judged: ${verdict === 'good' && missing !== undefined ? missing : reason}`)
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
