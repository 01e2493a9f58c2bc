/**
 * Mocha's spec reporter, plus the totals as JSON in the file named by the reporter option `file`, and beside it in
 * `FILE.running` what is being run. A process that still lives `linger` seconds after its last test holds something
 * open: it says what, and ends with exit code 1.
 */
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export default class SpecWithTotals extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const { file, linger } = (options.reporterOptions ?? {}) as { file?: string; linger?: string }
    const { EVENT_HOOK_BEGIN, EVENT_RUN_END, EVENT_TEST_BEGIN } = Mocha.Runner.constants
    const note = (one: { fullTitle(): string }): void => {
      if (file !== undefined) writeFileSync(`${file}.running`, one.fullTitle())
    }
    runner.on(EVENT_HOOK_BEGIN, note)
    runner.on(EVENT_TEST_BEGIN, note)
    runner.once(EVENT_RUN_END, () => {
      if (file !== undefined) {
        const { passes, failures, pending } = this.stats
        writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending }))
      }
      if (linger !== undefined) setTimeout(() => endLingering(linger), Number(linger) * 1000).unref()
    })
  }
}

function endLingering(seconds: string): never {
  const open = process.getActiveResourcesInfo().join(', ')
  console.error(`the last test ended ${seconds} s ago and this process did not: it holds ${open}`)
  // mocha has put its own count of failures there for this moment
  process.once('exit', () => (process.exitCode = 1))
  process.exit(1)
}
