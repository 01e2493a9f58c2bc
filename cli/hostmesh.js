#!/usr/bin/env node
// Starts the command under the Node that travels with the package, whatever Node the machine has. Plain JavaScript, so that an older Node can read it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { fileURLToPath } from 'node:url'

const neededMajor = 26
const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const entry = existsSync(here('./main.js')) ? './main.js' : './main.ts'

if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
  await import(entry)
} else {
  const run = spawnSync(bundledNode(), [here(entry), ...process.argv.slice(2)], { stdio: 'inherit' })
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
