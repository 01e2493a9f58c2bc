/** What becomes of a request by the rules in force, and what would by others: decided, never done. */
import type { Upstream } from '../connect/upstream.ts'
import type { Answer } from '../filters/answer.ts'
import type { FilterContext } from '../filters/filter.ts'
import type { Routing, Stop } from '../forward/routing.ts'
import { chooseDestination, clusterKeyFor } from '../route/destination.ts'
import type { Destination, RequestView, Route, VirtualHost } from '../route/types.ts'
import { matchRoute } from '../route/virtual-host.ts'
import { codeOf, type RouteDifferences } from './route-differences.ts'

export interface Decision {
  /** undefined = none matches. */
  readonly route: Route | undefined
  /** Where it is sent on to; undefined = it is answered. */
  readonly destination: Destination | undefined
  /** `service|subset|port`; '' = it is answered. */
  readonly clusterKey: string
  readonly answer: Pick<Answer, 'status' | 'code'> | undefined
  /** It would wait so long more on purpose, ms. */
  readonly delayMs: number
}

export const nobody: Decision['answer'] = { status: 503, code: 'E_ROUTE_UNKNOWN_SERVICE' }
const noRouteAnswer: Decision['answer'] = { status: 404, code: 'E_ROUTE_NONE' }

/** Of the rules in force; undefined while it is not decided, or was not by rules. */
export function decisionInForce(routing: Routing, found: Upstream | Stop, view: RequestView): Decision | undefined {
  if (found.kind === 'ask' || found.kind === 'wait') return undefined
  const route = routing.route ?? undefined
  if (found.kind === 'answer') return answered(route, found)
  const { destination } = routing
  if (destination === null || found.kind === 'unknown') return answered(route, nobody)
  return sentOn(route, destination, view)
}

/**
 * Of another virtual host. `draw`: by which a destination is chosen. `agreement`: with the route in force, about
 * filters. undefined: it cannot be told without asking others.
 */
export function decide(
  host: VirtualHost,
  context: FilterContext,
  draw: number,
  inForce: Decision,
  agreement: (route: Route) => RouteDifferences,
): Decision | undefined {
  const { view } = context
  // its tokens would have to be verified
  if (host.firstFilters.length > 0) return undefined
  const route = matchRoute(host, view)
  if (route === undefined) return answered(undefined, noRouteAnswer)
  const { haveSameFilters, sharedFilters } = agreement(route)
  let delayMs = 0
  if (haveSameFilters) {
    if (inForce.answer !== undefined && inForce.answer !== nobody) return answered(route, inForce.answer)
  } else {
    for (const [at, { filter }] of route.filters.entries()) {
      if (sharedFilters.has(at)) {
        if (inForce.answer?.code === codeOf[filter.kind]) return answered(route, inForce.answer)
        continue
      }
      const verdict = filter.onRequest(context)
      if (verdict === null) continue
      if (verdict.kind === 'answer') return { ...answered(route, verdict), delayMs }
      if (verdict.call !== null) return undefined
      delayMs += verdict.ms
    }
  }
  const destination = chooseDestination(route, draw)
  return destination === undefined ? answered(route, noRouteAnswer) : { ...sentOn(route, destination, view), delayMs }
}

function answered(route: Route | undefined, answer: Decision['answer']): Decision {
  return { route, destination: undefined, clusterKey: '', answer, delayMs: 0 }
}

function sentOn(route: Route | undefined, destination: Destination, view: RequestView): Decision {
  const clusterKey = clusterKeyFor(destination, view.namedPort, view.localPort)
  return { route, destination, clusterKey, answer: undefined, delayMs: 0 }
}
