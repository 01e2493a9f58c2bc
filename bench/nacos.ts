/**
 * npm run bench:nacos -- [push] [restarts] [host] [fleet] [--nacos HOST:PORT] [--list]
 *
 * The numbers of the Nacos adapter, all without a name, against a real Nacos 2.3.1 that is fetched and started; with
 * `--nacos` against one that runs already (without fleet, which kills its server). Prints method, figures and goals,
 * and writes the raw data to bench/results/nacos-NAME-TIME.json. Exit code 0 when everything ran, 1 when a measurement
 * failed to run, 2 without a server; a goal that is not met is a result, not a failure.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { missingForNacos } from '../test/support/nacos/artifacts.ts'
import { startNacos } from '../test/support/nacos/server.ts'
import { fleet } from './nacos/fleet.ts'
import { host } from './nacos/host.ts'
import type { NacosBench, NacosMeasure } from './nacos/measure.ts'
import { push } from './nacos/push.ts'
import { restarts } from './nacos/restarts.ts'
import { buildRelease } from './release.ts'
import { renderReport } from './report.ts'

const measures: readonly NacosMeasure[] = [push, restarts, host, fleet]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { nacos: { type: 'string' }, list: { type: 'boolean' } },
})
if (values.list === true) {
  console.log(measures.map(({ name }) => name).join('\n'))
  process.exit(0)
}
const log = (line: string): void => console.error(line)
const unknown = positionals.filter((name) => !measures.some((measure) => measure.name === name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; known are ${measures.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}
const missing = values.nacos === undefined ? await missingForNacos() : undefined
if (missing !== undefined) {
  console.error(missing)
  process.exit(2)
}

const chosen = measures.filter(
  ({ name, isDisruptive }) =>
    (positionals.length === 0 || positionals.includes(name)) && !(isDisruptive && values.nacos !== undefined),
)
const releaseFolder = chosen.includes(host) ? buildRelease(log) : ''
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: cpus().length,
  kernel: release(),
  node: process.versions.node,
}
console.log(
  `${machine.cpus} x ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}, Nacos ${values.nacos ?? '2.3.1'}, ${new Date().toISOString()}\n`,
)

const own = values.nacos === undefined ? await startNacos({ heapMb: 1024 }) : undefined
const address = own?.address ?? values.nacos!
const bench: NacosBench = {
  address,
  url: own?.url ?? `http://${address}/nacos`,
  own,
  namespace: `bench-${process.pid}`,
  releaseFolder,
  log,
}
try {
  for (const measure of chosen) {
    log(`${measure.name}: ${measure.title}`)
    try {
      const report = await measure.run(bench)
      console.log(renderReport(report))
      const file = new URL(`./results/nacos-${measure.name}-${Date.now()}.json`, import.meta.url)
      writeFileSync(file, JSON.stringify({ machine, report }, null, 1))
    } catch (error) {
      process.exitCode = 1
      console.log(`== ${measure.title} ==\nFAILED    ${error instanceof Error ? error.stack : String(error)}\n`)
    }
  }
} finally {
  await own?.stop()
}
