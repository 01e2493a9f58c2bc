/**
 * npm run bench:registries -- [push] [share] [crowded] [memory] [REGISTRY…] [--list]
 *
 * The numbers of the other registries, all measures and all registries without a name: ZooKeeper and etcd as real
 * servers, the others as the stand-ins of the tests, each in a process of its own. Prints method, figures and goals; a
 * goal that is not met is a result, not a failure. An outage of each under load: `npm run soak:registries`.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { claimLoopbackBlock } from '../cli/launch/loopback-block.ts'
import { memory } from './registries/hosts.ts'
import { registryKinds } from '../test/support/registries/every-kind.ts'
import { openApart } from './registries/apart.ts'
import { push } from './registries/push.ts'
import { share } from './registries/share.ts'
import { scratchFolder } from './processes.ts'
import { renderReport } from './report.ts'
import type { ScenarioReport } from './scenario.ts'

const known = ['push', 'share', 'crowded', 'memory'] as const
const words = process.argv.slice(2)
if (words.includes('--list')) {
  console.log([...known, ...registryKinds].join('\n'))
  process.exit(0)
}
const wanted = known.filter((name) => words.includes(name))
const kinds = words.filter((word) => !(known as readonly string[]).includes(word))
const log = (line: string): void => console.error(line)
console.log(
  `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString()}\n`,
)

const unknown = kinds.filter((kind) => !registryKinds.some((name) => name === kind))
if (unknown.length > 0)
  throw new Error(`unknown: ${unknown.join(', ')}; known are ${[...known, ...registryKinds].join(', ')}`)

const folder = scratchFolder('registries')
const block = await claimLoopbackBlock(Math.random)
const registries = await Promise.all(
  registryKinds
    .filter((kind) => kinds.length === 0 || kinds.includes(kind))
    .map((kind) => openApart(kind, { folder: folder.path, port: 80, ttl: 30 })),
)
const bench = { registries, block, folder: folder.path, log, used: 0 }
const measures: Readonly<Record<(typeof known)[number], () => Promise<ScenarioReport>>> = {
  push: () => push(registries),
  share: () => share(bench, false),
  crowded: () => share(bench, true),
  memory: () => memory(bench),
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
