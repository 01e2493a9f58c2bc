/** Mocha's spec reporter, plus the totals as JSON in the file named by the reporter option `file`. */
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export default class SpecWithTotals extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const file = (options.reporterOptions as { file?: string } | undefined)?.file
      if (file === undefined) return
      const { passes, failures, pending } = this.stats
      writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending }))
    })
  }
}
