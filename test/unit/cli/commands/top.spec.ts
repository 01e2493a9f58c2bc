import { expect } from 'chai'
import { sortRows, topRows } from '../../../../cli/commands/top-rows.ts'
import type { TopRow, TrafficLook } from '../../../../cli/commands/top-rows.ts'
import { drawTop } from '../../../../cli/commands/top-screen.ts'
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

  it('sorts by what is asked for, and what was not called stands last', () => {
    const row = (name: string, perSecond: number, failedShare: number, p99: number): TopRow => {
      return { service: name, side: 'out', perSecond, failedShare, p50: p99, p99 }
    }
    const all = [row('a', 1, 0, 9), row('c', 5, 0.5, 3), row('b', 5, 0, Infinity), row('d', 0, 0, Number.NaN)]
    const names = (by: Parameters<typeof sortRows>[1]): string =>
      sortRows(all, by)
        .map((one) => one.service)
        .join('')
    expect(names('rate')).to.equal('bcad')
    expect(names('service')).to.equal('abcd')
    expect(names('failed')).to.equal('cbad')
    expect(names('p99')).to.equal('bacd')
  })

  it('fits the terminal, however small', () => {
    const output = createOutput(false, { out: { write() {} }, err: { write() {} } })
    const view = { look: now, rows, sortedBy: 'failed', problem: '' } as const
    for (const [columns, height] of [
      [80, 24],
      [20, 5],
      [5, 2],
      [200, 60],
    ] as const) {
      const lines = drawTop(output, { ...view, look: { ...now, tier: 'center' } }, { columns, rows: height })
      expect(lines.length).to.be.at.most(height)
      for (const line of lines) expect(line.length).to.be.at.most(columns + 2)
    }
    const text = drawTop(output, view, {}).join('\n')
    expect(text).to.match(/service +side +req\/s +failed\* +p50 ms +p99 ms/)
    expect(text).to.match(/orders +out +100 +10 %/)
  })
})
