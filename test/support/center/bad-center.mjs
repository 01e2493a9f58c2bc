/**
 * A release of a center whose control is broken. `--as crash-at-start`; `--as crash-after-serving`: it dies as soon as
 * its generation serves, and then at each start. `--main FILE`: the control of the good one; `--watchdog FILE`: who asks
 * the watchdog.
 */
import { setTimeout as pause } from 'node:timers/promises'

const option = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1]
const fail = () => {
  console.error('this version is broken')
  process.exit(7)
}

const runDir = option('run-dir')
const generation = Number(option('generation'))
const { askWatchdog } = await import(option('watchdog'))
const isServing = async () => {
  const { state } = await askWatchdog(runDir, { type: 'status' }, 5000)
  return state.generations.some((one) => one.generation === generation && one.phase === 'serving')
}

if (option('as') === 'crash-at-start' || (await isServing())) fail()
const main = option('main')
for (const name of ['as', 'main', 'watchdog']) process.argv.splice(process.argv.indexOf(`--${name}`), 2)
await import(main)
while (!(await isServing())) await pause(20)
fail()
