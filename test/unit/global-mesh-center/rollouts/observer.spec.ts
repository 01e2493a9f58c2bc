import { expect } from 'chai'
import type { HostReport } from '../../../../contracts/host-report.ts'
import { HostTable } from '../../../../global-mesh-center/hosts/host-table.ts'
import { RolloutObserver, type RolloutEnd } from '../../../../global-mesh-center/rollouts/observer.ts'
import type { Rollout } from '../../../../global-mesh-center/rollouts/rollout.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts'

const names = ['h1', 'h2', 'h3'] as const
const document = 'VirtualService shop/orders'
const version = 'new'
const tables = { silentAfter: 10_000, forgetAfter: 3_600_000, maxHosts: 10 }

describe('the observer of a roll-out', () => {
  let clock: ManualClock
  let table: HostTable
  let rollout: Rollout
  let observer: RolloutObserver
  /** Of each host, as counters since it began to count. */
  let counted: Map<string, { requests: number; failures: number }>
  let change: Map<string, Partial<HostReport>>

  beforeEach(() => {
    clock = manualClock()
    table = new HostTable(tables, clock)
    counted = new Map(names.map((name) => [name, { requests: 1_000_000, failures: 0 }]))
    change = new Map()
    report()
    begin(30_000)
  })

  function begin(observeMs: number): void {
    rollout = {
      object: { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: meta(), spec: {} },
      base: 1,
      share: { percent: 34 },
      hosts: ['h1'],
      observeMs,
      limits: { failures: 0.02, latency: 3, minRequests: 100 },
      user: 'root',
      from: '10.0.0.1',
      startedAt: clock.wall(),
      state: 'running',
      reason: '',
      endedAt: 0,
    } as Rollout
    observer = watch()
  }
  const meta = () => ({ name: 'orders', namespace: 'shop', uid: '', creationTimestamp: '', generation: 1 })
  /** As a center does that sees the roll-out for the first time. */
  function watch(): RolloutObserver {
    const made = new RolloutObserver(rollout, { services: undefined, version })
    made.take(table.all())
    return made
  }
  function report(...some: readonly string[]): void {
    for (const [index, name] of names.entries())
      if (some.length === 0 || some.includes(name)) table.take(reportOf(name, index))
  }
  function reportOf(name: string, index: number): HostReport {
    const { requests, failures } = counted.get(name)!
    return hostReport(name, `10.0.0.${index}`, {
      registries: [{ name: 'center', type: 'center', isConnected: true, problem: '' }],
      traffic: [
        { reporter: 'source', source: 'web', service: 'public/orders', requests, failures, counts: [requests] },
      ],
      rules: { applied: 1, rejected: [], asked: [{ rule: document, version, state: 'applied' }] },
      ...change.get(name),
    })
  }
  function call(name: string, requests: number, failures = 0): void {
    const before = counted.get(name)!
    counted.set(name, { requests: before.requests + requests, failures: before.failures + failures })
  }
  const look = (): RolloutEnd | undefined => {
    table.look()
    observer.take(table.all())
    return observer.end(rollout, table.all(), clock.wall())
  }
  /** A second at a time, with a report in each of the hosts, or of some of them. */
  function pass(
    seconds: number,
    inEach: () => void = () => undefined,
    some: readonly string[] = [],
  ): RolloutEnd | undefined {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000)
      inEach()
      report(...some)
      const end = look()
      if (end !== undefined) return end
    }
    return undefined
  }
  /** What a center that starts anew knows of its hosts. */
  function restart(kept = table.kept()): void {
    table = new HostTable(tables, clock)
    table.adopt(structuredClone(kept))
    observer = watch()
  }

  it('counts nothing from before a restart of the center as since then', () => {
    expect(pass(5)).to.equal(undefined)
    restart()
    clock.advance(1000)
    report()
    expect(look(), 'a million good requests are no news').to.equal(undefined)
    expect(observer.figures().share.requests).to.equal(0)
    const end = pass(5, () => call('h1', 200, 200))
    expect(end?.state).to.equal('reverted')
    expect(end?.reason).to.match(/^100\.0 % of 200 requests of 1 hosts failed/)
  })

  it('takes nothing up that this center saw for a moment alone', () => {
    begin(120_000)
    for (const name of names) call(name, 1000)
    expect(pass(118)).to.equal(undefined)
    restart()
    expect(
      pass(55, () => call('h1', 100)),
      'half of the time, a minute at most',
    ).to.equal(undefined)
    expect(pass(10, () => call('h1', 100))?.state).to.equal('done')
  })

  it('leaves a share of which it never heard to others, and ends it long after they had to', () => {
    for (const kept of [[], table.kept().map((host) => ({ ...host, isSilent: true }))]) {
      begin(30_000)
      clock.advance(1)
      rollout = { ...rollout, startedAt: clock.wall() }
      restart(kept)
      clock.advance(149_000)
      expect(look()).to.equal(undefined)
      clock.advance(1000)
      expect(look()).to.deep.equal({
        state: 'reverted',
        reason: 'none of its 1 hosts has reported to this center',
      })
    }
  })

  it('ends when the share fell silent that it had heard, also before a restart', () => {
    expect(pass(1)).to.equal(undefined)
    expect(pass(9, undefined, ['h2', 'h3'])).to.equal(undefined)
    expect(pass(1, undefined, ['h2', 'h3'])?.reason).to.equal('none of its 1 hosts reports any more')
    restart(table.kept().map((host) => ({ ...host, isSilent: false })))
    look()
    expect(pass(9, undefined, ['h2', 'h3']), 'it may report yet').to.equal(undefined)
    expect(pass(1, undefined, ['h2', 'h3'])?.reason).to.equal('none of its 1 hosts reports any more')
  })

  describe('takes nothing up, and takes it back at last, where a host of the share', () => {
    const asked = (said: string, state: string): Partial<HostReport> => ({
      rules: { applied: 1, rejected: [], asked: [{ rule: document, version: said, state }] },
    })
    const lost = { name: 'center', type: 'center', isConnected: false, problem: 'refused' }
    const cases: Readonly<Record<string, readonly [Partial<HostReport>, string]>> = {
      'never gets it': [asked('', 'absent'), 'host h1 does not have it in force (absent)'],
      'has the version before': [asked('old', 'rejected'), 'host h1 has another version in force (rejected)'],
      'was told another one': [asked('own', 'overridden'), 'host h1 has another version in force (overridden)'],
      'lets another rule decide': [asked('', 'conflict'), 'host h1 does not have it in force (conflict)'],
      'cannot say': [{ rules: { applied: 1, rejected: [] } }, 'host h1 does not say which version it has in force'],
      'loses discovery': [{ registries: [lost] }, 'host h1 has lost the center from which it takes its rules'],
    }
    for (const [title, [found, reason]] of Object.entries(cases))
      it(title, () => {
        expect(pass(5, () => call('h1', 100))).to.equal(undefined)
        change.set('h1', found)
        // with discovery it had it, and without it goes on as it was
        if (title !== 'loses discovery') begin(30_000)
        expect(pass(60, () => call('h1', 100))).to.equal(undefined)
        expect(pass(30, () => call('h1', 100))).to.deep.equal({ state: 'reverted', reason: `not judged: ${reason}` })
      })
  })

  it('waits for no host of the share that calls nobody, and forgives one that had it and stopped calling', () => {
    rollout = { ...rollout, hosts: ['h1', 'h2'] }
    observer = watch()
    const absent = { rules: { applied: 0, rejected: [], asked: [{ rule: document, version: '', state: 'absent' }] } }
    change.set('h2', absent)
    expect(pass(20, () => call('h1', 100))).to.equal(undefined)
    change.set('h1', absent)
    expect(pass(11)?.state).to.equal('done')
  })

  it('stops a rule within 30 s that breaks after an hour of good calls, of which its failures are nothing', () => {
    begin(24 * 3_600_000)
    const all = (failures: number): void => {
      for (const name of names) call(name, 300, name === 'h1' ? failures : 0)
    }
    expect(pass(3600, () => all(1))).to.equal(undefined)
    const began = clock.wall()
    const end = pass(30, () => all(16))
    expect(end?.reason).to.match(/^\d\.\d % of 4500 requests of 1 hosts failed, .* in the last 15 s; 2\.0 % more/)
    expect(clock.wall() - began).to.be.at.most(30_000)
  })

  it('stops one that breaks late where there are few calls, too', () => {
    begin(24 * 3_600_000)
    const all = (failures: number): void => {
      for (const name of names) call(name, 1, name === 'h1' ? failures : 0)
    }
    expect(pass(7200, () => all(0))).to.equal(undefined)
    expect(pass(120, () => all(1))?.reason).to.match(/in the last 12\d s/)
  })

  it('takes chance for no late failure', () => {
    begin(24 * 3_600_000)
    let seed = 7
    const random = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed / 2 ** 31
    }
    const some = (): number => Array.from({ length: 20 }, random).filter((value) => value < 0.01).length
    const end = pass(3 * 3600, () => {
      for (const name of names) call(name, 20, some())
    })
    expect(end).to.equal(undefined)
  })
})
