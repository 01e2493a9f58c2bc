/**
 * npm run bench:registries -- [push] [share] [memory] [outage]
 *
 * The numbers of the other registries, all without a name: ZooKeeper and etcd as real servers, Consul, Kubernetes and
 * DNS as the stand-ins of the tests. `HOSTMESH_OUTAGE_SECONDS` is how long they are dead, 600 by default. Prints
 * method, figures and goals; a goal that is not met is a result, not a failure.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { claimLoopbackBlock } from '../cli/launch/loopback-block.ts'
import { memory, outage } from './registries/hosts.ts'
import { openRegistries } from './registries/kinds.ts'
import { push } from './registries/push.ts'
import { share } from './registries/share.ts'
import { scratchFolder } from './processes.ts'
import { renderReport } from './report.ts'
import type { ScenarioReport } from './scenario.ts'

const known = ['push', 'share', 'memory', 'outage'] as const
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(known as readonly string[]).includes(name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; known are ${known.join(', ')}`)
  process.exit(1)
}
const log = (line: string): void => console.error(line)
console.log(
  `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString()}\n`,
)

const folder = scratchFolder('registries')
const block = await claimLoopbackBlock(Math.random)
const registries = await openRegistries(folder.path)
const bench = { registries, block, folder: folder.path, log, used: 0 }
const measures: Readonly<Record<(typeof known)[number], () => Promise<ScenarioReport>>> = {
  push: () => push(registries),
  share: () => share(bench),
  memory: () => memory(bench),
  outage: () => outage(bench, Number(process.env['HOSTMESH_OUTAGE_SECONDS'] ?? 600)),
}
try {
  for (const name of known.filter((one) => wanted.length === 0 || wanted.includes(one))) {
    log(name)
    try {
      const report = await measures[name]()
      console.log(renderReport(report))
      writeFileSync(
        new URL(`./results/registries-${name}-${Date.now()}.json`, import.meta.url),
        JSON.stringify(report, null, 1),
      )
    } catch (error) {
      process.exitCode = 1
      console.log(`== ${name} ==\nFAILED    ${error instanceof Error ? error.stack : String(error)}\n`)
    }
  }
} finally {
  await Promise.all(registries.map((registry) => registry.stop()))
  await block.release()
  folder.close()
}
