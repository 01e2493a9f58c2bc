import { expect } from 'chai'
import { Timeline } from '../../../../../agent/control/events/timeline.ts'
import { tellWatchdogState } from '../../../../../agent/control/events/watchdog-events.ts'
import type { ChildState, RestartReport, WatchdogState } from '../../../../../contracts/handoff.ts'
import { manualClock } from '../../../../support/manual-clock.ts'
import { recordingMetrics } from '../support/fake-registry.ts'

const report = (traits: Partial<RestartReport>): RestartReport => ({
  id: 'r1',
  kind: 'reload',
  from: 1,
  to: 2,
  release: 'x',
  outcome: 'done',
  cause: undefined,
  evidence: [],
  startedAt: 1000,
  readyMs: 1,
  provenMs: 2,
  servingMs: 300,
  goneMs: undefined,
  counts: [],
  ...traits,
})

const child = (traits: Partial<ChildState>): ChildState => ({
  role: 'worker',
  index: 0,
  pid: 1,
  isReady: true,
  isServing: true,
  restarts: 0,
  rssBytes: 0,
  lagMs: 0,
  connections: 0,
  ...traits,
})

const state = (
  reports: readonly RestartReport[],
  children: readonly ChildState[] = [],
  relay: Partial<WatchdogState['relay']> = {},
): WatchdogState => ({
  pid: 1,
  startedAt: 0,
  isAdopted: false,
  handover: 'on',
  heldShards: 0,
  generations: [{ generation: 2, phase: 'serving', release: 'x', startedAt: 0, children, waits: [] }],
  relay: {
    tier: 'agent',
    isRelaying: false,
    since: 0,
    turns: [],
    targetsAgeMs: 0,
    targetsProblem: undefined,
    centers: [],
    connections: { center: 0, direct: 0, failed: 0, shed: 0, refused: 0, passedOver: 0 },
    active: 0,
    listeners: {},
    ...relay,
  },
  reports,
})

describe('events of the watchdog', () => {
  let timeline: Timeline
  beforeEach(() => {
    timeline = new Timeline({ clock: manualClock(), metrics: recordingMetrics(), onChanged: () => undefined })
    timeline.takeOver(undefined)
  })
  const told = () => timeline.query().events.map(({ at, kind, severity, what }) => `${at} ${kind} ${what} ${severity}`)

  it('tell each restart once, at its time, a failed one with its cause', () => {
    const failed = report({ id: 'r2', outcome: 'failed', cause: 'no answer', startedAt: 5000, servingMs: undefined })
    for (let times = 0; times < 2; times++) tellWatchdogState(timeline, state([failed, report({})]))
    tellWatchdogState(timeline, state([failed, report({ goneMs: 900 })]))
    expect(told()).to.deep.equal(['1300 restart done info', '5000 restart failed error'])
    expect(timeline.query().events[1]!.message).to.include('no answer')
  })

  it('tell that a canary is tried, once, and what came of it', () => {
    const side = { requests: 100, failed: 0, p50Ms: 1, p95Ms: 2 }
    const canary = { forMs: 60_000, maxFailedPercent: 1, maxSlowerPercent: 50, says: 'fine', servedMs: 9, canary: side }
    const before = state([])
    for (const servedMs of [5000, 10_000]) {
      const running = { ...canary, servedMs, verdict: 'running', others: side } as const
      tellWatchdogState(timeline, { ...before, generations: [{ ...before.generations[0]!, canary: running }] })
    }
    tellWatchdogState(
      timeline,
      state([report({ canary: { ...canary, verdict: 'passed', others: side }, startedAt: 1e15 })]),
    )
    expect(timeline.query().events.map(({ message }) => message)).to.deep.equal([
      'one worker of generation 2 serves and is compared with the others for 60 s',
      'reload: generation 1 to 2 serves after 300 ms; canary passed: fine',
    ])
  })

  it('tell a process that was started again, each time', () => {
    for (const restarts of [0, 1, 1, 2]) tellWatchdogState(timeline, state([], [child({ restarts })]))
    const about = timeline.query().events.map((event) => `${event.about}: ${event.message}`)
    expect(about).to.have.length(2)
    expect(about[1]).to.match(/^worker 0 of generation 2: .*2 times/)
  })

  it('tell the tiers that callers took while nobody here could look, once and in order', () => {
    const turns = [
      { at: 10, tier: 'center' },
      { at: 20, tier: 'direct' },
      { at: 30, tier: 'agent' },
    ] as const
    for (let times = 0; times < 3; times++) tellWatchdogState(timeline, state([], [], { turns }))
    expect(told()).to.deep.equal(['10 tier center warning', '20 tier direct warning', '30 tier agent info'])
  })

  it('tell a center that is lost and back', () => {
    const center = (isUsable: boolean) => ({ centers: [{ address: '10.0.0.8:15443', isUsable, failures: 0 }] })
    for (const isUsable of [true, false, false, true]) tellWatchdogState(timeline, state([], [], center(isUsable)))
    expect(timeline.query().events.map(({ what }) => what)).to.deep.equal(['lost', 'back'])
  })
})
