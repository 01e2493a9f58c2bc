// Finds the Node that travels with the package, whatever Node the machine has. Plain JavaScript, so that an older Node can read it.
// npm's own link to it (`node_modules/.bin/node`) is not relied on: npm 10 removes it when the package for another architecture cannot be installed.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'

const neededMajor = 26

export const isNewEnough = Number(process.versions.node.split('.')[0]) >= neededMajor

/** Runs a file under it (or under this Node, if it will do) and exits as it does. */
export function runUnderBundledNode(file, argv) {
  const run = spawnSync(isNewEnough ? process.execPath : bundledNode(), [file, ...argv], { stdio: 'inherit' })
  if (run.error !== undefined) {
    process.stderr.write(`hostmesh: ${run.error.message}\n`)
    process.exit(1)
  }
  if (run.signal !== null) process.kill(process.pid, run.signal)
  process.exit(run.status ?? 1)
}

function bundledNode() {
  const name = `node-${platform()}-${arch()}`
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch {
    process.stderr.write(
      `hostmesh: needs Node ${neededMajor}, found ${process.versions.node}, and the package ${name} is not installed; run npm ci with optional dependencies\n`,
    )
    process.exit(1)
  }
}
