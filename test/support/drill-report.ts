/** A report of a drill as a test wants it. */
import type { DrillReport } from '../../cli/drill/report.ts'

export function reportOf(change: Partial<DrillReport>): DrillReport {
  return {
    drill: 'kill-agent',
    host: 'alpha',
    startedAt: '2026-01-01T00:00:00.000Z',
    does: 'kills',
    blastRadius: 'this host',
    promise: 'nothing lost',
    verdict: 'kept',
    problems: [],
    recoveryMs: 812.4,
    maxLost: 2,
    noticedWithinMs: 0,
    probe: {
      calls: 200,
      errors: 1,
      perSecond: 50,
      p50Ms: 1.2,
      p99Ms: 30,
      tiers: { agent: 150, center: 49 },
      versions: {},
      reasons: { ECONNRESET: 1 },
    },
    real: { requests: 40, failures: 0 },
    abortAbove: 0.05,
    events: [],
    timeline: [{ atMs: 0, lost: 0, slowestMs: 1, tiers: { agent: 5 } }],
    ...change,
  }
}
