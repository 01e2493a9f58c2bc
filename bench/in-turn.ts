/**
 * A scenario that measures nothing but ourselves, of the present and of an earlier state in turn: each runs its own
 * form of it, with its own build, so that a change of the machine's mood hits both alike.
 */
import { optionsOfEarlier } from './peers/earlier.ts'
import type { EarlierState } from './peers/earlier.ts'
import { format, median } from './scenario.ts'
import type { BenchOptions, Scenario, ScenarioReport } from './scenario.ts'

type Row = readonly string[]

/**
 * The report of the last run of the present state, with the rows of all runs and the present against the earlier state
 * by their medians, cell by cell. Without an earlier form of the scenario it runs once, and a remark says so.
 */
export async function runInTurn(
  scenario: Scenario,
  earlier: EarlierState,
  turns: number,
  options: BenchOptions,
): Promise<ScenarioReport> {
  const before = earlier.scenarios.find(({ name }) => name === scenario.name)
  if (before === undefined) {
    const report = await scenario.run(options)
    return { ...report, remarks: [...report.remarks, 'the earlier state has no such scenario'] }
  }
  const now: ScenarioReport[] = []
  const then: ScenarioReport[] = []
  for (let turn = 1; turn <= turns; turn++) {
    options.log(`  turn ${turn} of ${turns}: earlier`)
    then.push(await before.run(optionsOfEarlier(options, earlier)))
    options.log(`  turn ${turn} of ${turns}: present`)
    now.push(await scenario.run({ ...options, earlier: undefined }))
  }
  const last = now.at(-1)!
  return {
    ...last,
    method: [...last.method, `the earlier state and this one in turn, ${turns} runs each; ratios are of medians`],
    columns: ['state', ...last.columns],
    rows: [
      ...then.flatMap(({ rows }) => rows.map((row) => ['earlier', ...row])),
      ...now.flatMap(({ rows }) => rows.map((row) => ['present', ...row])),
      ...last.rows.map((row, index) => ['ratio', ...ratiosOf(row, index, last.columns, now, then)]),
    ],
    remarks: [...now, ...then].flatMap(({ remarks }) => remarks),
    raw: { now, then },
  }
}

function ratiosOf(
  row: Row,
  index: number,
  columns: readonly string[],
  now: readonly ScenarioReport[],
  then: readonly ScenarioReport[],
): string[] {
  return row.map((cell, column) => {
    const of = (reports: readonly ScenarioReport[]): number =>
      median(reports.map((report) => Number(report.rows[index]?.[report.columns.indexOf(columns[column]!)] || NaN)))
    const ratio = of(now) / of(then)
    // the first column says what the row is of
    if (column === 0) return cell
    return Number.isFinite(ratio) ? format(ratio) : ''
  })
}
