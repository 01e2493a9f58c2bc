/**
 * `npm run bench:continuity`: what restarts, deaths and bad versions cost callers, with HAProxy's and nginx's reloads in the same harness.
 *
 * Callers never retry. Everything runs on this machine, callers included, so latencies are upper bounds; losses are exact. `--quick` runs a fifth of it.
 * Prints a table and writes `bench/results/continuity.json`. Exit code 1 when something was lost that must not be.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release as kernel } from 'node:os'
import { join } from 'node:path'
import { startFarSide } from '../test/support/continuity/far-side.ts'
import { haproxy, hostmesh, nginx } from './continuity/proxies.ts'
import {
  failedUpgrades,
  kills,
  oneRestart,
  restartsUnderLoad,
  streamsThroughRestarts,
  watchdogAtRest,
} from './continuity/scenarios.ts'
import type { KillNumbers, RestartNumbers } from './continuity/scenarios.ts'

const isQuick = process.argv.includes('--quick')
const restarts = isQuick ? 4 : 20
const times = isQuick ? 4 : 20
const problems: string[] = []
const say = (line = ''): void => console.log(line)
const must = (isTrue: boolean, what: string): void => {
  if (!isTrue) problems.push(what)
}

const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
say(`node ${process.version}, linux ${kernel()}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, commit ${commit}`)
const provider = await startFarSide('ok', false)

say()
say(`${restarts} restarts, one each 1.2 s, under 32 keep-alive callers, then under 2,000 new connections/s`)
const rows: RestartNumbers[] = []
for (const make of [() => hostmesh(provider), () => haproxy(provider.port), () => nginx(provider.port)]) {
  const proxy = await make()
  if (proxy === undefined) continue
  const row = await restartsUnderLoad(proxy, restarts, 1200, 2000)
  await proxy.close()
  rows.push(row)
  say(
    `  ${row.name.padEnd(9)} keep-alive: lost ${row.lost} of ${row.requests} in ${row.seconds.toFixed(1)} s, connections closed ${row.connectionsClosed};` +
      ` p99 ${row.quietP99Ms.toFixed(1)} → ${row.duringP99Ms.toFixed(1)} ms; new: lost ${row.freshLost} of ${row.freshRequests}, refused ${row.freshRefused}`,
  )
}
const ours = rows[0]!
must(ours.lost === 0 && ours.freshLost === 0, 'a restart lost requests')
must(ours.connectionsClosed === 0, 'a restart closed connections')
must(
  ours.duringP99Ms <= 3 * ours.quietP99Ms,
  `p99 during restarts is ${(ours.duringP99Ms / ours.quietP99Ms).toFixed(1)} × quiet, goal 3`,
)

say()
const streams = await streamsThroughRestarts(provider, isQuick ? 50 : 200, 5)
say(
  `streams: ${streams.streams} (half TCP, half WebSocket) through ${streams.restarts} restarts, ${streams.megabytes.toFixed(1)} MB: damaged ${streams.damaged} ${streams.examples.join('; ')}`,
)
must(streams.damaged === 0, 'a stream was cut or damaged')

say()
say(`kill -9, ${times} times each, at 2,000 new connections/s`)
const killRows: KillNumbers[] = []
for (const what of ['worker', 'control', 'watchdog', 'generation'] as const) {
  const row = await kills(what, times, 2000)
  killRows.push(row)
  say(
    `  ${row.what.padEnd(10)} refused ${row.refused}, lost ${row.lost} of ${row.requests} (at most ${row.worstLostAtOnce} at once);` +
      ` first answer p99 ${row.firstAnswerP99Ms.toFixed(0)} ms; back in the higher tier p99 ${row.backP99Ms.toFixed(0)} ms; calls not made ${row.skipped}`,
  )
  must(
    row.killsOverInFlight === 0,
    `kill -9 of ${what} lost more than what was under way, ${row.killsOverInFlight} times`,
  )
  must(row.refused === 0, `kill -9 of ${what} refused connections`)
  must(
    row.firstAnswerP99Ms <= 100,
    `kill -9 of ${what}: first answer after ${row.firstAnswerP99Ms.toFixed(0)} ms, goal 100`,
  )
  must(row.backP99Ms <= 1000, `kill -9 of ${what}: back after ${row.backP99Ms.toFixed(0)} ms, goal 1000`)
  if (what === 'control' || what === 'watchdog') must(row.lost === 0, `kill -9 of ${what} lost requests`)
}

say()
const upgrades = await failedUpgrades(times)
say(
  `failed upgrades: ${upgrades.upgrades}; lost ${upgrades.lost} of ${upgrades.requests}; generations left ${upgrades.generationsLeft}, served by ${upgrades.servedBy}`,
)
must(upgrades.lost === 0 && upgrades.generationsLeft === 1 && upgrades.servedBy === 'v1', 'a failed upgrade did harm')

say()
const idle = await oneRestart(provider, false, isQuick ? 2 : 5)
const busy = await oneRestart(provider, true, isQuick ? 2 : 5)
const list = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(', ')
say(
  `one restart with 64 connections, command to old generation gone: ${list(idle)} ms with light load, ${list(busy)} ms at saturation`,
)
must(Math.max(...idle) <= 1500, `one restart took ${Math.max(...idle).toFixed(0)} ms, goal 1500`)

say()
const rest = await watchdogAtRest(provider, isQuick ? 5000 : 20_000)
say(`the watchdog at rest: ${rest.megabytes.toFixed(1)} MB resident, ${rest.percent.toFixed(3)} % of a core`)
must(rest.megabytes <= 50, `the watchdog has ${rest.megabytes.toFixed(0)} MB, goal 50`)
must(rest.percent <= 0.1, `the watchdog needs ${rest.percent.toFixed(2)} % of a core, goal 0.1`)

await provider.close()
const folder = join(import.meta.dirname, 'results')
mkdirSync(folder, { recursive: true })
const results = {
  commit,
  node: process.version,
  kernel: kernel(),
  cpu: cpus()[0]?.model,
  isQuick,
  rows,
  streams,
  killRows,
  upgrades,
  idle,
  busy,
  rest,
  problems,
}
writeFileSync(join(folder, 'continuity.json'), `${JSON.stringify(results, undefined, 2)}\n`)
say()
say(problems.length === 0 ? 'every goal is reached' : `not reached: ${problems.join('; ')}`)
process.exitCode = problems.some((problem) => !problem.includes('goal')) ? 1 : 0
