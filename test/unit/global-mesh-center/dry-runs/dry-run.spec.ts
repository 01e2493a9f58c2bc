import { serialize } from 'node:v8'
import { expect } from 'chai'
import { noFigures, type DryRunReport } from '../../../../contracts/dry-run.ts'
import { DryRun } from '../../../../global-mesh-center/dry-runs/dry-run.ts'
import { manualClock } from '../../../support/manual-clock.ts'

const rule = 'VirtualService shop/orders'

function report(state: DryRunReport['state'], evaluated: number, id = 'one'): DryRunReport {
  const row = { kind: 'timeout', host: 'orders', route: 'a', now: '1 s', then: '2 s', example: '' } as const
  const differences = evaluated === 0 ? [] : [{ ...row, requests: evaluated }]
  return { id, state, problem: '', figures: { ...noFigures, evaluated, different: evaluated, differences } }
}

describe('the dry run of a center', () => {
  let clock: ReturnType<typeof manualClock>
  let dryRun: DryRun
  beforeEach(() => {
    clock = manualClock()
    const facts = { id: 'one', rule, namespace: 'shop', text: '{}', user: 'ann', share: 0.1, ms: 60_000 }
    dryRun = new DryRun({ ...facts, hosts: ['h1', 'h2'] }, clock)
  })

  it('orders its hosts for the time that is left, and nobody else', () => {
    expect(dryRun.orderFor('h1')).to.deep.equal({ id: 'one', rule: '{}', share: 0.1, ms: 60_000 })
    expect(dryRun.orderFor('h3')).to.equal(undefined)
    clock.advance(20_000)
    expect(dryRun.orderFor('h2')!.ms).to.equal(40_000)
    clock.advance(39_500)
    expect(dryRun.orderFor('h2')).to.equal(undefined)
  })

  it('tells its hosts to end when it is stopped', () => {
    dryRun.stop()
    expect(dryRun.orderFor('h1')!.ms).to.equal(0)
    expect(dryRun.isRunning).to.equal(true)
    dryRun.take('h1', report('over', 3))
    dryRun.take('h2', report('over', 4))
    expect(dryRun.view()).to.include({ state: 'over' })
    expect(dryRun.view().figures).to.include({ evaluated: 7, different: 7 })
    expect(dryRun.view().figures.differences).to.have.length(1)
  })

  it('keeps what a host found before its agent was restarted, and hears no host that it did not ask', () => {
    dryRun.take('h1', report('running', 10))
    dryRun.take('h1', report('running', 12))
    dryRun.take('h1', report('running', 2))
    dryRun.take('h3', report('running', 99))
    dryRun.take('h2', report('running', 99, 'another'))
    dryRun.take('h2', undefined)
    expect(dryRun.view().figures.evaluated).to.equal(14)
    expect(dryRun.view().hosts.map(({ host, state }) => [host, state])).to.deep.equal([
      ['h1', 'running'],
      ['h2', 'asked'],
    ])
  })

  it('holds no more of a host that claims a restart with every report', () => {
    const sizeOf = (): number => serialize(dryRun['told']).length
    const lie = (round: number): void => {
      const { figures, ...rest } = report('running', round % 2 === 0 ? 1000 : 0)
      const differences = figures.differences.map((row) => ({ ...row, then: `${round} `.repeat(100) }))
      dryRun.take('h1', { ...rest, figures: { ...figures, differences } })
    }
    for (let round = 0; round < 200; round++) lie(round)
    const before = sizeOf()
    for (let round = 200; round < 400; round++) lie(round)
    expect(sizeOf()).to.be.below(before * 1.2)
    expect(dryRun.view().figures).to.include({ evaluated: 200_000, different: 200_000 })
  })

  it('is over some time after its end where a host says nothing, and refused where all refuse', () => {
    dryRun.take('h1', report('over', 1))
    clock.advance(60_000)
    expect(dryRun.isRunning, 'it is waited for').to.equal(true)
    clock.advance(15_000)
    expect(dryRun.view()).to.include({ state: 'over' })
    dryRun.take('h1', report('refused', 0))
    dryRun.take('h2', report('refused', 0))
    expect(dryRun.view()).to.include({ state: 'refused' })
  })
})
