import { expect } from 'chai'
import { runInTurn } from '../../../bench/in-turn.ts'
import type { EarlierState } from '../../../bench/peers/earlier.ts'
import type { BenchOptions, Scenario } from '../../../bench/scenario.ts'

const options: BenchOptions = {
  windows: 1,
  windowSeconds: 1,
  warmSeconds: 0,
  proxyCpu: '0',
  loadCpu: '1',
  peers: undefined,
  earlier: undefined,
  releaseFolder: '/present',
  workerMain: '/present/agent/worker/main.js',
  log: () => undefined,
}

/** Answers the next of `figures` each time, under its columns, and says which build it ran. */
function scenarioOf(columns: readonly string[], figures: string[], ran: string[]): Scenario {
  return {
    name: 'memory',
    title: 'memory',
    run: async ({ workerMain }) => {
      ran.push(workerMain)
      const row = columns.map((column) => (column === 'services' ? '100' : figures.shift()!))
      return { name: 'memory', title: 'memory', method: [], columns, rows: [row], goals: [], remarks: [], raw: row }
    },
  }
}

const earlierWith = (scenarios: readonly Scenario[]): EarlierState => ({
  folder: '/before',
  releaseFolder: '/before/built',
  startMesh: async () => {
    throw new Error('not asked for')
  },
  scenarios,
})

describe('a scenario of ourselves alone, beside an earlier state', () => {
  it('runs in turn, each state in its own form with its own build, and compares medians by name of the column', async () => {
    const ran: string[] = []
    const now = scenarioOf(['services', 'new', 'MiB'], ['1', '66', '1', '70'], ran)
    const before = scenarioOf(['services', 'MiB'], ['50', '54'], ran)
    const report = await runInTurn(now, earlierWith([before]), 2, options)
    expect(ran).to.deep.equal([
      '/before/built/agent/worker/main.js',
      '/present/agent/worker/main.js',
      '/before/built/agent/worker/main.js',
      '/present/agent/worker/main.js',
    ])
    expect(report.columns).to.deep.equal(['state', 'services', 'new', 'MiB'])
    expect(report.rows.at(-1)).to.deep.equal(['ratio', '100', '', '1.31'])
    expect(report.rows).to.have.length(5)
  })

  it('runs once where the earlier state had none, and says so', async () => {
    const report = await runInTurn(scenarioOf(['MiB'], ['1'], []), earlierWith([]), 2, options)
    expect(report.remarks).to.deep.equal(['the earlier state has no such scenario'])
  })
})
