/** What the watchdog tells, as events: restarts, processes that died, the tier that callers took, centers. */
import type { RestartReport, WatchdogState } from '../../../contracts/handoff.ts'
import type { Timeline } from './timeline.ts'

/** Of each state that the watchdog sends; it may be told the same again. */
export function tellWatchdogState(timeline: Timeline, state: WatchdogState): void {
  for (const report of state.reports.toReversed()) tellReport(timeline, report)
  for (const { canary, generation } of state.generations)
    if (canary !== undefined)
      timeline.turn({
        kind: 'restart',
        about: `canary of generation ${generation}`,
        what: 'canary',
        message: `one worker of generation ${generation} serves and is compared with the others for ${canary.forMs / 1000} s`,
        severity: 'info',
      })
  for (const { children, generation } of state.generations)
    for (const { index, restarts, role } of children) {
      const process = role === 'control' ? 'control' : `worker ${index}`
      const times = restarts === 1 ? 'once' : `${restarts} times`
      if (restarts > 0)
        timeline.turn({
          kind: 'restart',
          about: `${process} of generation ${generation}`,
          what: 'replaced',
          message: `the process had ended and was started again, ${times} so far`,
          severity: 'warning',
        })
    }
  for (const { at, tier } of state.relay.turns ?? []) tellTier(timeline, tier, at)
  if (state.relay.turns === undefined) tellTier(timeline, state.relay.tier, state.relay.since)
  for (const { address, isUsable } of state.relay.centers)
    timeline.turn({
      kind: 'center',
      about: address,
      what: isUsable ? 'back' : 'lost',
      message: isUsable ? 'the center answers' : 'the center does not answer; the relay would pass it over',
      severity: isUsable ? 'info' : 'warning',
      isNormal: isUsable,
    })
}

function tellReport(timeline: Timeline, report: RestartReport): void {
  const { canary, cause, from, id, kind, outcome, servingMs, startedAt, to } = report
  const what = from === undefined ? `${kind}: generation ${to}` : `${kind}: generation ${from} to ${to}`
  const isDone = outcome === 'done'
  const tried = canary === undefined ? '' : `; canary ${canary.verdict}: ${canary.says}`
  timeline.turn({
    kind: 'restart',
    about: id,
    what: outcome,
    message: isDone
      ? `${what} serves after ${servingMs ?? 0} ms${tried}`
      : `${what}: ${outcome}: ${cause ?? 'no cause known'}`,
    severity: isDone ? (kind === 'recovery' ? 'warning' : 'info') : 'error',
    at: startedAt + (servingMs ?? 0),
  })
}

function tellTier(timeline: Timeline, tier: 'agent' | 'center' | 'direct', at: number): void {
  const words = {
    agent: 'new connections go through the workers',
    center: 'no worker serves: new connections go to a center',
    direct: 'no worker serves and no center answers: new connections go straight to endpoints',
  }
  timeline.turn({
    kind: 'tier',
    about: 'host',
    what: tier,
    message: words[tier],
    severity: tier === 'agent' ? 'info' : 'warning',
    at,
    isNormal: tier === 'agent',
    isOrdered: true,
  })
}
