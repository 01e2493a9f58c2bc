/**
 * Runs the mocha suites and ends with the names of what failed and one line `N passed, N failed, N skipped` over all of
 * them. Those of compliance mostly wait: where there are two cores they run beside those of units, and what they print
 * is printed behind them. All else runs one after the other.
 *
 * Usage: node scripts/run-tests.ts [--limit-s N] [--linger-s N] [--slowest N] [--grep TEXT] [unit|compliance|e2e|FILE
 * …] (no FILE = everything; --grep = only tests whose title matches, of a spec whose steps stand alone). In CI
 * (CI=true) a skipped test is a failure. Exit code 0 only when nothing failed and every suite ended by itself: one that
 * crashes, that is still busy when the whole run is `--limit-s` old (default 4800), or that lives on `--linger-s` after
 * its last test (default 30), fails the run and is named. Each suite names the `--slowest` of its files (default 25)
 * with the time that they took.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

interface Totals {
  passed: number
  failed: number
  skipped: number
  /** `FILE: TITLE` of each test and hook that failed. */
  readonly failing: string[]
}

type Ending = number | string | null

const suites: Readonly<Record<string, string>> = {
  unit: 'test/unit/**/*.spec.ts',
  compliance: 'test/compliance/**/*.spec.ts',
  e2e: 'test/e2e/**/*.spec.ts',
}

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    grep: { type: 'string' },
    'limit-s': { type: 'string', default: '4800' },
    'linger-s': { type: 'string', default: '30' },
    slowest: { type: 'string', default: '25' },
  },
})
const isCi = process.env['CI'] === 'true'
const specs = wanted.length === 0 ? Object.values(suites) : wanted.map((name) => suites[name] ?? name)
/** Each in turn; what is in one begins together. */
const rounds =
  wanted.length === 0 && availableParallelism() > 1
    ? [[suites['unit']!, suites['compliance']!], [suites['e2e']!]]
    : specs.map((spec) => [spec])
const folder = mkdtempSync(join(tmpdir(), 'hostmesh-tests-'))
/**
 * Every process of a run reads the sources; only the first strips their types. So a process that a test starts costs
 * what one of a release costs, whose types are stripped once and for all. Not with coverage, which it would blur.
 */
const environment =
  process.env['NODE_V8_COVERAGE'] === undefined
    ? { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') }
    : process.env
const totals: Totals = { passed: 0, failed: 0, skipped: 0, failing: [] }
const deadline = performance.now() + Number(values['limit-s']) * 1000
let broken = false
/** Files with what suites printed that ran beside another. */
const aside: string[] = []

for (const round of rounds) {
  const endings = await Promise.all(round.map((spec, place) => runSuite(spec, place > 0)))
  for (const file of aside.splice(0)) process.stdout.write(readFileSync(file))
  for (const [place, spec] of round.entries()) count(spec, endings[place]!)
  if (endings.includes('too late')) break
}
rmSync(folder, { recursive: true, force: true })

if (isCi && totals.skipped > 0)
  console.error(`in CI a skipped test is a failure: ${totals.skipped} skipped, reasons above`)
if (broken) console.error('a suite did not finish properly')
const isGood = !broken && totals.failed === 0 && !(isCi && totals.skipped > 0)
for (const name of totals.failing) console.log(`failed: ${name}`)
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exitCode = isGood ? 0 : 1

function count(spec: string, ending: Ending): void {
  const counted = readTotals(resultOf(spec))
  if (counted !== undefined) {
    totals.passed += counted.passed
    totals.failed += counted.failed
    totals.skipped += counted.skipped
    totals.failing.push(...counted.failing)
  }
  if (ending === 'too late') {
    const where = readText(`${resultOf(spec)}.running`) ?? 'nothing had begun'
    console.error(`${spec}: still busy after ${values['limit-s']} s of the whole run, ended; it was at: ${where}`)
    broken = true
    return
  }
  if (counted === undefined) console.error(`${spec}: the test runner ended without a result (exit ${ending})`)
  if (counted === undefined || (ending !== 0 && counted.failed === 0)) broken = true
}

function resultOf(spec: string): string {
  return join(folder, `${specs.indexOf(spec)}.json`)
}

/** @param isAside what it prints is kept until it has ended. */
async function runSuite(spec: string, isAside: boolean): Promise<Ending> {
  const file = resultOf(spec)
  // Transports of their own sockets are tested in this very process (native/fast-calls.ts).
  const words = ['--expose-internals', 'node_modules/mocha/bin/mocha.js', '--reporter', './test/support/reporter.ts']
  for (const option of [`file=${file}`, `linger=${values['linger-s']}`, `slowest=${values.slowest}`])
    words.push('--reporter-option', option)
  if (values.grep !== undefined) words.push('--grep', values.grep)
  const printed = isAside ? openSync(`${file}.printed`, 'w') : undefined
  const out = printed ?? 'inherit'
  const run = spawn(process.execPath, [...words, spec], { stdio: ['inherit', out, out], env: environment })
  const ending = await endingOf(run)
  if (printed === undefined) return ending
  closeSync(printed)
  aside.push(`${file}.printed`)
  return ending
}

/** The exit code, the signal, or why it did not start. */
function endingOf(run: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => {
        resolve('too late')
        run.kill('SIGKILL')
      },
      Math.max(0, deadline - performance.now()),
    )
    const end = (ending: Ending): void => {
      clearTimeout(timer)
      resolve(ending)
    }
    run.once('error', (error) => end(error.message))
    run.once('exit', (code, signal) => end(code ?? signal))
  })
}

function readTotals(file: string): Totals | undefined {
  const text = readText(file)
  return text === undefined ? undefined : (JSON.parse(text) as Totals)
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
