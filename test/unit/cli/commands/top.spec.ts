import { expect } from 'chai'
import { drawTop, topRows } from '../../../../cli/commands/top.ts'
import type { TrafficLook } from '../../../../cli/commands/top.ts'
import { createOutput } from '../../../../cli/output.ts'

const look = (services: TrafficLook['services']): TrafficLook => ({
  host: 'alpha',
  generation: 2,
  generations: 1,
  workers: 2,
  restarts: 1,
  connections: 7,
  tier: 'agent',
  registries: [{ name: 'main', connected: true }],
  services,
})
const service = (name: string, requests: number, failures: number, counts: readonly number[]) => ({
  reporter: 'source',
  service: name,
  requests,
  failures,
  bounds: [1, 10, 100],
  counts,
})

describe('hostmesh top', () => {
  const before = look([service('orders', 100, 10, [100, 0, 0, 0])])
  const now = look([service('orders', 300, 30, [100, 198, 2, 0]), service('ledger', 10, 0, [0, 0, 0, 10])])
  const rows = topRows(before, now, 2)

  it('makes rates, shares and quantiles of two looks', () => {
    expect(rows.map((row) => row.service)).to.deep.equal(['orders', 'ledger'])
    expect(rows[0]).to.deep.include({ perSecond: 100, failedShare: 0.1 })
    expect(rows[0]!.p50).to.be.within(1, 10)
    expect(rows[0]!.p99).to.be.within(10, 100)
    expect(rows[1]!.p99).to.equal(Infinity)
  })

  it('counts from zero when counters fell', () => {
    expect(topRows(now, before, 1)[0]!.perSecond).to.equal(100)
  })

  it('fits the terminal, however small', () => {
    const output = createOutput(false, { out: { write() {} }, err: { write() {} } })
    for (const [columns, height] of [
      [80, 24],
      [20, 5],
      [5, 2],
      [200, 60],
    ] as const) {
      const lines = drawTop(output, { ...now, tier: 'center' }, rows, '', { columns, rows: height })
      expect(lines.length).to.be.at.most(height)
      for (const line of lines) expect(line.length).to.be.at.most(columns + 2)
    }
    expect(drawTop(output, now, rows, '', {}).join('\n')).to.match(/orders +out +100 +10 %/)
  })
})
