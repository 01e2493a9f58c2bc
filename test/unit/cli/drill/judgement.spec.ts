import { expect } from 'chai'
import { drills } from '../../../../cli/drill/drills.ts'
import { isWholeAgain } from '../../../../cli/drill/wholeness.ts'
import { nextTier, reasonNotTo } from '../../../../cli/drill/fitness.ts'
import { type DrillName, drillNames } from '../../../../cli/drill/names.ts'
import { probeServiceOf } from '../../../../cli/drill/probe.ts'
import { lostWhileHung } from '../../../../cli/drill/process-drills.ts'
import { allowedLosses, brokenPromises } from '../../../../cli/drill/run-drill.ts'
import type { AgentConfig } from '../../../../agent/control/config/types.ts'
import type { ChildState, RelayState, WatchdogState } from '../../../../contracts/handoff.ts'

const child = (role: ChildState['role'], pid: number): ChildState => ({
  role,
  index: 0,
  pid,
  isReady: true,
  isServing: role === 'worker',
  restarts: 0,
  rssBytes: 0,
  lagMs: 0,
  connections: 0,
})

const relay: RelayState = {
  tier: 'agent',
  isRelaying: false,
  since: 0,
  targetsAgeMs: 10,
  targetsProblem: undefined,
  centers: [],
  connections: { center: 0, direct: 0, failed: 0, shed: 0, refused: 0, passedOver: 0 },
  active: 0,
  listeners: {},
}

function state(children: readonly ChildState[], more: Partial<WatchdogState> = {}): WatchdogState {
  const generation = { generation: 1, phase: 'serving', release: 'r', startedAt: 0, children, waits: [] } as const
  return {
    pid: 1,
    startedAt: 0,
    isAdopted: false,
    handover: 'on',
    generations: [generation],
    heldShards: 1,
    relay,
    reports: [],
    ...more,
  }
}

const drill = (name: DrillName) => drills.find((one) => one.name === name)!
const whole = state([child('control', 10), child('worker', 11)])

describe('the judgement of a drill', () => {
  it('knows every drill that the command names', () => {
    expect(drills.map((one) => one.name)).to.have.members([...drillNames])
  })

  it('does not take the state before a fault is noticed for a recovery', () => {
    expect(isWholeAgain(drill('kill-agent'), whole, whole)).to.equal(false)
    expect(isWholeAgain(drill('hang-agent'), whole, state([child('control', 10), child('worker', 12)]))).to.equal(false)
    expect(isWholeAgain(drill('hang-agent'), whole, state([child('control', 20), child('worker', 12)]))).to.equal(true)
  })

  it('waits for the worker that was killed, not for the others', () => {
    expect(isWholeAgain(drill('kill-worker'), whole, state([child('control', 10)]))).to.equal(false)
    expect(isWholeAgain(drill('kill-worker'), whole, state([child('control', 10), child('worker', 12)]))).to.equal(true)
  })

  it('wants another watchdog that has adopted what runs', () => {
    const children = whole.generations[0]!.children
    expect(isWholeAgain(drill('kill-watchdog'), whole, state(children, { pid: 2 }))).to.equal(false)
    expect(isWholeAgain(drill('kill-watchdog'), whole, state(children, { pid: 2, isAdopted: true }))).to.equal(true)
  })

  it('finds a promise broken by too many losses, by a refused connection, and by having measured nothing', () => {
    const seen = { calls: 10, errors: 0, perSecond: 1, p50Ms: 1, p99Ms: 1, tiers: {}, versions: {}, reasons: {} }
    expect(brokenPromises(2, seen)).to.deep.equal([])
    expect(
      [0, 1, 5].map((inFlight) => allowedLosses(2, inFlight)),
      'of a kill',
    ).to.deep.equal([2, 2, 6])
    expect(allowedLosses(0, 5), 'of what kills nobody that carries traffic').to.equal(0)
    expect(brokenPromises(2, { ...seen, errors: 3 })).to.deep.equal(['3 probe calls lost, allowed 2'])
    expect(brokenPromises(2, { ...seen, errors: 1, reasons: { ECONNREFUSED: 1 } })).to.deep.equal([
      '1 connections refused, allowed none',
    ])
    expect(brokenPromises(2, { ...seen, calls: 0 })[0]).to.include('nothing can be said')
  })

  it('of a hang allows what is sent until it must be noticed, less what a call may wait', () => {
    const lost = (probeInterval: number, probeTimeout: number): number =>
      lostWhileHung({ watchdog: { probeInterval, probeTimeout } } as unknown as AgentConfig)
    expect(lost(2500, 2000), 'noticed after 7.5 s at most, 5 s waited for, 50 a second').to.equal(127)
    expect(lost(500, 1000), '5.5 s').to.equal(27)
    expect(lost(2500, 10_000), '23.5 s').to.equal(927)
  })

  it('is not begun on a host that could not bear it', () => {
    const registries = [{ name: 'main', type: 'nacos', register: 'v2' }]
    const config = {
      role: 'agent',
      outbound: { http: { host: '127.0.0.1', port: 1 } },
      registries,
    } as unknown as AgentConfig
    const files = { ...config, registries: [{ name: 'f', type: 'file' }] } as unknown as AgentConfig
    expect(reasonNotTo(drill('kill-agent'), files, whole)).to.include('no registry takes registrations')
    const kill = drill('kill-agent')
    expect(reasonNotTo(kill, config, whole)).to.equal(undefined)
    expect(reasonNotTo(kill, config, state([child('control', 10)]))).to.include('not whole')
    expect(reasonNotTo(kill, config, { ...whole, heldShards: 0, handover: 'off: no ffi' })).to.include('off: no ffi')
    const untold = { ...whole, relay: { ...relay, targetsProblem: 'relay-targets.json: not there (yet)' } }
    expect(reasonNotTo(kill, config, untold)).to.include('not there (yet)')
    expect(reasonNotTo(drill('bad-config'), config, untold)).to.equal(undefined)
    const silent = { ...config, outbound: { ...config.outbound, http: 'off' } } as AgentConfig
    expect(reasonNotTo(kill, silent, whole)).to.include('outbound.http is off')
  })

  it('says who serves meanwhile: centers that do not answer, ports that nobody would serve', () => {
    expect(nextTier(whole)).to.equal('no center is set; listeners: none')
    const centers = [{ address: '10.0.0.8:15443', isUsable: false, failures: 1 }]
    const listeners = { a: 'center', b: 'direct', c: 'none' } as const
    expect(nextTier({ ...whole, relay: { ...relay, centers, listeners } })).to.equal(
      'center 10.0.0.8:15443 (does not answer now); listeners: 1 center, 1 direct, 1 by nobody',
    )
  })

  it('calls a probe that no other host has', () => {
    expect(probeServiceOf('Web-01.example.org')).to.equal('hostmesh-drill-web-01-example-org')
  })
})
