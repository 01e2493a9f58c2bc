import type { CandidateRules, DryRunFigures } from '../../../contracts/dry-run.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { RoutingLook } from '../forward/exchange-deps.ts'
import type { ExchangeContext } from '../forward/filter-context.ts'
import type { Routing, Stop } from '../forward/routing.ts'
import { keyParts } from '../route/destination.ts'
import type { Destination, Route, VirtualHost } from '../route/types.ts'
import { decide, decisionInForce, type Decision } from './decision.ts'
import type { Destinations } from './destinations.ts'
import { cut, DifferenceTable } from './difference-table.ts'
import { QuietContext } from './quiet-context.ts'
import { isSame, noAgreement, RoutePairs, type Difference, type RouteDifferences } from './route-differences.ts'

/** An evaluation that fails so often is given up. */
const maxFailures = 10

export interface DryRunDeps {
  readonly random: () => number
  /** Compiled, with filters and counts of their own. */
  readonly hosts: ReadonlyMap<string, VirtualHost>
  readonly destinations: Destinations
  /** Its time is over, or it was given up. */
  onEnd(): void
}

/**
 * Evaluates the new version of rules for a share of the requests, after the rules in force have decided, and counts
 * what would be otherwise. No request notices: what fails here is counted here.
 */
export class DryRun implements RoutingLook {
  readonly id: string
  /** Monotonic ms. */
  readonly endsAt: number
  private readonly deps: DryRunDeps
  private readonly share: number
  private readonly pairs = new RoutePairs()
  private readonly table = new DifferenceTable()
  private readonly context: QuietContext
  private evaluated = 0
  private different = 0
  private undecided = 0
  private failed = 0
  private failure = ''

  /** `now`: monotonic ms. */
  constructor({ id, ms, share }: Pick<CandidateRules, 'id' | 'ms' | 'share'>, now: number, deps: DryRunDeps) {
    this.id = id
    this.endsAt = now + ms
    this.share = share
    this.deps = deps
    this.context = new QuietContext(deps.random)
  }

  look(routing: Routing, found: Upstream | Stop, context: ExchangeContext): void {
    const { host, destination } = routing
    const { deps } = this
    // of one that its caller sent elsewhere rules say little
    if (host === null || routing.isOverridden || found.kind === 'ask' || found.kind === 'wait') return
    if (context.now >= this.endsAt) return deps.onEnd()
    const candidate = deps.hosts.get(host.name)
    const isMeant =
      candidate !== undefined || (destination !== null && deps.destinations.touches(destination.spec.service))
    if (!isMeant || (this.share < 1 && deps.random() >= this.share)) return
    this.evaluated++
    try {
      this.evaluate(candidate ?? host, routing, found, context)
    } catch (error) {
      this.failed++
      if (this.failure === '') this.failure = cut(describeError(error))
      if (this.failed >= maxFailures) deps.onEnd()
    }
  }

  figures(): DryRunFigures {
    const { evaluated, different, undecided, failed, failure, table } = this
    return { evaluated, different, undecided, failed, failure, differences: table.all(), others: table.others }
  }

  private evaluate(candidate: VirtualHost, routing: Routing, found: Upstream | Stop, context: ExchangeContext): void {
    const { view } = context
    const now = decisionInForce(routing, found, view)
    if (now === undefined) return
    this.context.take(view, context)
    const draw = now.destination !== undefined && now.route!.destinations.length > 1 ? routing.draw : this.deps.random()
    const then = decide(candidate, this.context, draw, now, (route) => this.agreement(routing, now, route, candidate))
    if (then === undefined) {
      this.undecided++
      return
    }
    const differences = this.compare(now, this.served(now, then), routing.host!, candidate)
    if (differences.length === 0) return
    this.different++
    const route = now.route?.spec.name ?? ''
    for (const one of differences) this.table.add(one, routing.host!.name, route, () => `${view.method} ${view.path}`)
  }

  private agreement(routing: Routing, { route }: Decision, other: Route, candidate: VirtualHost): RouteDifferences {
    return route === undefined ? noAgreement : this.pairs.of(route, other, [routing.host!.spec, candidate.spec])
  }

  /** What is sent where nobody serves is answered. */
  private served(now: Decision, then: Decision): Decision {
    if (then.destination === undefined) return then
    const { destinations } = this.deps
    const isElsewhere = then.clusterKey !== now.clusterKey || destinations.touches(then.destination.spec.service)
    const answer = isElsewhere ? destinations.refusal(then.clusterKey) : undefined
    return answer === undefined ? then : { ...then, destination: undefined, clusterKey: '', answer }
  }

  private compare(now: Decision, then: Decision, host: VirtualHost, candidate: VirtualHost): Difference[] {
    const found: Difference[] = []
    if (then.delayMs > 0) found.push({ kind: 'delay', now: 'as it is', then: `${then.delayMs} ms later` })
    const words = { now: wordsOf(now), then: wordsOf(then) }
    if (now.destination === undefined || then.destination === undefined) {
      const kind = kindOf(now.answer, then.answer)
      if (kind !== undefined) found.push({ kind, ...words })
      return found
    }
    if (now.clusterKey !== then.clusterKey) found.push({ kind: 'destination', ...words })
    else found.push(...this.deps.destinations.differences(then.clusterKey))
    found.push(...this.pairs.of(now.route!, then.route!, [host.spec, candidate.spec]).differences)
    if (!isSame(editsOf(now.destination), editsOf(then.destination)))
      found.push({ kind: 'edits', now: 'as it is', then: 'headers of the destination would be otherwise' })
    return found
  }
}

function editsOf({ spec: { requestHeaders, responseHeaders, authority } }: Destination): object {
  return { requestHeaders, responseHeaders, authority }
}

/** undefined = no difference. */
function kindOf(now: Decision['answer'], then: Decision['answer']): Difference['kind'] | undefined {
  const [isRefused, wouldBe] = [now, then].map((answer) => answer !== undefined && answer.status >= 400)
  if (now === undefined) return wouldBe! ? 'refused' : 'answer'
  if (then === undefined) return isRefused! ? 'admitted' : 'answer'
  return now.status === then.status && now.code === then.code ? undefined : 'answer'
}

function wordsOf({ answer, clusterKey }: Decision): string {
  if (answer !== undefined) return answer.code === undefined ? `${answer.status}` : `${answer.status} ${answer.code}`
  const { service, subset, port } = keyParts(clusterKey)
  return `${service}${subset === undefined ? '' : ` subset ${subset}`}${port === undefined ? '' : ` port ${port}`}`
}
