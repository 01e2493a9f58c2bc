/**
 * `npm run bench:continuity`: what restarts, deaths and bad versions cost callers, with HAProxy's and nginx's reloads
 * in the same harness.
 *
 * Callers never retry. Everything runs on this machine, callers included, so latencies are upper bounds; losses are
 * exact. `--quick` runs a fifth of it; names of parts after it run only those (`restarts streams kills upgrades
 * one-restart real-stack rest`), `--list` none and says their names. Prints a table and writes
 * `bench/results/continuity.json`, also when a part fails: the others run, the file and the last line name it. Exit
 * code 1 when something was lost that must not be, or a part failed.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release as kernel } from 'node:os'
import { join } from 'node:path'
import { startFarSide } from '../test/support/continuity/far-side.ts'
import { runParts } from './continuity/parts.ts'
import type { Part, Verdict } from './continuity/parts.ts'
import { haproxy, hostmesh, nginx } from './continuity/proxies.ts'
import { restartsOfRealStack } from './continuity/real-stack.ts'
import {
  failedUpgrades,
  kills,
  oneRestart,
  restartsUnderLoad,
  streamsThroughRestarts,
  watchdogAtRest,
} from './continuity/scenarios.ts'
import type { KillNumbers, RestartNumbers } from './continuity/scenarios.ts'
import { buildRelease } from './release.ts'

const isQuick = process.argv.includes('--quick')
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const times = isQuick ? 4 : 20
const say = (line = ''): void => console.log(line)
const list = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(', ')
const provider = await startFarSide('ok', false)

async function restarts({ must }: Verdict): Promise<RestartNumbers[]> {
  say(`${times} restarts, one each 1.2 s, under 32 keep-alive callers, then under 2,000 new connections/s`)
  const rows: RestartNumbers[] = []
  for (const make of [() => hostmesh(provider), () => haproxy(provider.port), () => nginx(provider.port)]) {
    const proxy = await make()
    if (proxy === undefined) continue
    let row: RestartNumbers
    try {
      row = await restartsUnderLoad(proxy, times, 1200, 2000)
    } finally {
      await proxy.close()
    }
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
  return rows
}

async function streams({ must }: Verdict): Promise<unknown> {
  const found = await streamsThroughRestarts(provider, isQuick ? 50 : 200, 5)
  say(
    `streams: ${found.streams} (half TCP, half WebSocket) through ${found.restarts} restarts, ${found.megabytes.toFixed(1)} MB: damaged ${found.damaged} ${found.examples.join('; ')}`,
  )
  must(found.damaged === 0, 'a stream was cut or damaged')
  return found
}

async function deaths({ must }: Verdict): Promise<KillNumbers[]> {
  say(`kill -9, ${times} times each, at 2,000 new connections/s`)
  const rows: KillNumbers[] = []
  for (const what of ['worker', 'control', 'watchdog', 'generation'] as const) {
    const row = await kills(what, times, 2000)
    rows.push(row)
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
  return rows
}

async function upgrades({ must }: Verdict): Promise<unknown> {
  const found = await failedUpgrades(times)
  say(
    `failed upgrades: ${found.upgrades}; lost ${found.lost} of ${found.requests}; generations left ${found.generationsLeft}, served by ${found.servedBy}`,
  )
  must(found.lost === 0 && found.generationsLeft === 1 && found.servedBy === 'v1', 'a failed upgrade did harm')
  return found
}

async function singleRestart({ must }: Verdict): Promise<unknown> {
  const idle = await oneRestart(provider, false, isQuick ? 2 : 5)
  const busy = await oneRestart(provider, true, isQuick ? 2 : 5)
  say(
    `one restart with 64 connections and a stand-in for control, command to old generation gone: ${list(idle.times)} ms with light load,` +
      ` ${list(busy.times)} ms at saturation; lost ${idle.failures.length + busy.failures.length} of ${idle.requests + busy.requests}`,
  )
  const failure = [...idle.failures, ...busy.failures][0]
  must(failure === undefined, `one restart lost a request: ${failure}`)
  must(Math.max(...idle.times) <= 1500, `one restart took ${Math.max(...idle.times).toFixed(0)} ms, goal 1500`)
  return { idle, busy }
}

async function realStack({ must }: Verdict): Promise<unknown> {
  const found = await restartsOfRealStack(provider, buildRelease(say), isQuick ? 2 : 10)
  say(
    `one restart of a whole host (release build, control with a file registry, 2 workers, 64 connections with answers of 400 ms):` +
      ` ${list(found.restarts.map(({ ms }) => ms))} ms; ready after ${list(found.restarts.map(({ readyMs }) => readyMs))} ms;` +
      ` lost ${found.failures.length} of ${found.requests}, closed ${found.connectionsClosed}, cut ${found.cut}`,
  )
  const isWhole = found.failures.length === 0 && found.connectionsClosed === 0 && found.cut === 0
  must(isWhole, `a restart of a whole host lost requests or connections: ${found.failures[0]}`)
  const worst = Math.max(...found.restarts.map(({ ms }) => ms))
  must(worst <= 1500, `one restart of a whole host took ${worst.toFixed(0)} ms, goal 1500`)
  return found
}

async function rest({ must }: Verdict): Promise<unknown> {
  const found = await watchdogAtRest(provider, isQuick ? 5000 : 20_000)
  say(`the watchdog at rest: ${found.megabytes.toFixed(1)} MB resident, ${found.percent.toFixed(3)} % of a core`)
  must(found.megabytes <= 50, `the watchdog has ${found.megabytes.toFixed(0)} MB, goal 50`)
  must(found.percent <= 0.1, `the watchdog needs ${found.percent.toFixed(2)} % of a core, goal 0.1`)
  return found
}

const parts: readonly Part[] = [
  { name: 'restarts', run: restarts },
  { name: 'streams', run: streams },
  { name: 'kills', run: deaths },
  { name: 'upgrades', run: upgrades },
  { name: 'one-restart', run: singleRestart },
  { name: 'real-stack', run: realStack },
  { name: 'rest', run: rest },
]
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
const machine = { commit, node: process.version, kernel: kernel(), cpu: cpus()[0]?.model, cores: cpus().length }
say(`node ${machine.node}, linux ${machine.kernel}, ${machine.cores} × ${machine.cpu ?? 'unknown'}, commit ${commit}`)
if (process.argv.includes('--list')) {
  console.log(parts.map(({ name }) => name).join('\n'))
  process.exit(0)
}
const unknown = wanted.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0)
  throw new Error(`no part ${unknown.join(', ')}; there are ${parts.map(({ name }) => name).join(', ')}`)
const chosen = wanted.length === 0 ? parts : parts.filter((part) => wanted.includes(part.name))
const outcome = await runParts(chosen, say)
await provider.close()

const folder = join(import.meta.dirname, 'results')
mkdirSync(folder, { recursive: true })
const date = new Date().toISOString()
writeFileSync(
  join(folder, 'continuity.json'),
  `${JSON.stringify({ date, ...machine, isQuick, ...outcome }, undefined, 2)}\n`,
)
say()
const { failed, problems } = outcome
if (failed.length > 0)
  say(`failed: ${failed.map(({ error, part }) => `${part} (${error.split('\n', 1)[0]})`).join('; ')}`)
if (problems.length > 0) say(`not reached: ${problems.join('; ')}`)
if (failed.length === 0 && problems.length === 0) say('every goal is reached')
// A failed part may have left something open; what it measured is written.
process.exit(failed.length > 0 || problems.some((problem) => !problem.includes('goal')) ? 1 : 0)
