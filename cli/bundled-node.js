// Finds the Node that travels with the package, whatever Node the machine has. Plain JavaScript, so that an older Node can read it.
// npm's own link to it (`node_modules/.bin/node`) is not relied on: npm 10 removes it when the package for another architecture cannot be installed.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'

const neededMajor = 26

export const isNewEnough = Number(process.versions.node.split('.')[0]) >= neededMajor

/**
 * Runs a file under it (or under this Node, if it will do) and exits as it does. Signals go on to it, so that whoever ends this process ends that one as well,
 * and not before it is done: on Ctrl-C a terminal signals both.
 */
export function runUnderBundledNode(file, argv) {
  const child = spawn(isNewEnough ? process.execPath : bundledNode(), [file, ...argv], { stdio: 'inherit' })
  const passOn = { SIGINT: () => {}, SIGTERM: () => child.kill('SIGTERM'), SIGHUP: () => child.kill('SIGHUP') }
  if (!process.stdin.isTTY) passOn.SIGINT = () => child.kill('SIGINT')
  for (const [signal, act] of Object.entries(passOn)) process.on(signal, act)
  child.on('error', (error) => {
    process.stderr.write(`hostmesh: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const [name, act] of Object.entries(passOn)) process.off(name, act)
    process.kill(process.pid, signal)
  })
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
