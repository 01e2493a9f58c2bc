/**
 * npm run bench -- [scenario …] [--windows N] [--seconds S] [--warm S] [--peers a,b] [--proxy-cpu C] [--load-cpu C]
 * [--against FOLDER [--turns N]] [--source] [--list]
 *
 * Builds the worker as users run it (`--source`: runs the TypeScript instead, which costs memory; `--against`: a
 * checkout of an earlier state runs beside it, or in turn with it where a scenario has no peers). Runs the scenarios
 * (all without a name), prints method, peers, figures, ratios and goals, and writes the raw data to
 * bench/results/NAME-TIME.json. Exit code 0 when everything ran, 1 when a scenario failed to run; a goal that is not
 * met is a result, not a failure.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { runInTurn } from './in-turn.ts'
import { openEarlier } from './peers/earlier.ts'
import { buildRelease } from './release.ts'
import { renderReport } from './report.ts'
import type { BenchOptions } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    windows: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    warm: { type: 'string', default: '10' },
    peers: { type: 'string' },
    'proxy-cpu': { type: 'string', default: '0' },
    'load-cpu': { type: 'string', default: '1' },
    against: { type: 'string' },
    turns: { type: 'string', default: '2' },
    source: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

const log = (line: string): void => console.error(line)
const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name))
if (unknown.length > 0 || values.list) {
  if (unknown.length > 0) console.error(`unknown scenario: ${unknown.join(', ')}`)
  for (const scenario of scenarios) console.log(`${scenario.name.padEnd(14)} ${scenario.title}`)
  process.exit(unknown.length > 0 ? 1 : 0)
}

const releaseFolder = buildRelease(log)
const workerMain = values.source
  ? fileURLToPath(new URL('../agent/worker/main.ts', import.meta.url))
  : `${releaseFolder}/agent/worker/main.js`
const earlier = values.against === undefined ? undefined : await openEarlier(resolve(values.against), log)
const options: BenchOptions = {
  windows: Number(values.windows),
  windowSeconds: Number(values.seconds),
  warmSeconds: Number(values.warm),
  proxyCpu: values['proxy-cpu'],
  loadCpu: values['load-cpu'],
  peers: values.peers?.toLowerCase().split(','),
  earlier,
  releaseFolder,
  workerMain,
  log,
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: cpus().length,
  kernel: release(),
  node: process.versions.node,
}
console.log(
  `${machine.cpus} x ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}, ${new Date().toISOString()}\n`,
)

for (const scenario of scenarios) {
  if (positionals.length > 0 && !positionals.includes(scenario.name)) continue
  options.log(`${scenario.name}: ${scenario.title}`)
  try {
    const report =
      earlier !== undefined && scenario.isInTurn === true
        ? await runInTurn(scenario, earlier, Number(values.turns), options)
        : await scenario.run(options)
    console.log(renderReport(report))
    const file = new URL(`./results/${scenario.name}-${Date.now()}.json`, import.meta.url)
    writeFileSync(file, JSON.stringify({ machine, options, report }, null, 1))
  } catch (error) {
    process.exitCode = 1
    console.log(
      `== ${scenario.title} ==\nFAILED    ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
  }
}
