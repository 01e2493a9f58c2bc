/**
 * Mocha's spec reporter, plus the totals and the names of what failed as JSON in the file named by the reporter option
 * `file`, and beside it in `FILE.running` what is being run. With the option `slowest=N` it ends with the N files that
 * took longest, hooks included. A process that still lives `linger` seconds after its last test holds something open:
 * it says what, and ends with exit code 1.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import Mocha from 'mocha'

interface ReporterOptions {
  readonly file?: string
  readonly linger?: string
  readonly slowest?: string
}

export default class SpecWithTotals extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const { file, linger, slowest } = (options.reporterOptions ?? {}) as ReporterOptions
    const { EVENT_HOOK_BEGIN, EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END, EVENT_TEST_BEGIN } =
      Mocha.Runner.constants
    const note = (one: { fullTitle(): string }): void => {
      if (file !== undefined) writeFileSync(`${file}.running`, one.fullTitle())
    }
    const spent = new Map<string, number>()
    let begunAt = 0
    runner.on(EVENT_SUITE_BEGIN, (suite: Mocha.Suite) => {
      if (suite.parent?.root === true) begunAt = performance.now()
    })
    runner.on(EVENT_SUITE_END, (suite: Mocha.Suite) => {
      if (suite.parent?.root !== true || suite.file === undefined) return
      spent.set(suite.file, (spent.get(suite.file) ?? 0) + performance.now() - begunAt)
    })
    runner.on(EVENT_HOOK_BEGIN, note)
    runner.on(EVENT_TEST_BEGIN, note)
    runner.once(EVENT_RUN_END, () => {
      if (file !== undefined) {
        const { passes, failures, pending } = this.stats
        const failing = this.failures.map((test) => `${relative(process.cwd(), test.file ?? '')}: ${test.fullTitle()}`)
        writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending, failing }))
      }
      if (slowest !== undefined) printSlowest(spent, Number(slowest))
      if (linger !== undefined) setTimeout(() => endLingering(linger), Number(linger) * 1000).unref()
    })
  }
}

/** @param spent ms by file */
function printSlowest(spent: ReadonlyMap<string, number>, count: number): void {
  for (const [file, ms] of [...spent].toSorted(([, a], [, b]) => b - a).slice(0, count))
    console.log(`${(ms / 1000).toFixed(1).padStart(7)} s  ${relative(process.cwd(), file)}`)
}

function endLingering(seconds: string): never {
  const open = process.getActiveResourcesInfo().join(', ')
  console.error(`the last test ended ${seconds} s ago and this process did not: it holds ${open}`)
  // mocha has put its own count of failures there for this moment
  process.once('exit', () => (process.exitCode = 1))
  process.exit(1)
}
