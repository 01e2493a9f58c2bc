/**
 * The measurements of `npm run bench:continuity`. Each answers plain numbers; what they should be stands beside them in
 * `continuity.ts`.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { keepAliveLoad } from '../../test/support/continuity/callers.ts'
import { startFarSide } from '../../test/support/continuity/far-side.ts'
import type { FarSide } from '../../test/support/continuity/far-side.ts'
import { startRealWorkers } from '../../test/support/continuity/real-workers.ts'
import { EchoStream } from '../../test/support/continuity/streams.ts'
import { WatchdogHost } from '../../test/support/continuity/watchdog-host.ts'
import { tuning } from './proxies.ts'
import type { RestartedProxy } from './proxies.ts'
import { percentile, ratedLoad } from './rated-load.ts'

/** What fails leaves no processes behind. */
async function withHost<T>(started: Promise<WatchdogHost>, run: (host: WatchdogHost) => Promise<T>): Promise<T> {
  const host = await started
  try {
    return await run(host)
  } finally {
    await host.end()
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface RestartNumbers {
  readonly name: string
  readonly restarts: number
  readonly seconds: number
  readonly requests: number
  readonly lost: number
  readonly connectionsClosed: number
  readonly freshRequests: number
  readonly freshLost: number
  readonly freshRefused: number
  readonly quietP99Ms: number
  readonly duringP99Ms: number
}

/** Keep-alive callers that do not retry, then new connections at a rate, each through `restarts` restarts. */
export async function restartsUnderLoad(
  proxy: RestartedProxy,
  restarts: number,
  everyMs: number,
  perSecond: number,
): Promise<RestartNumbers> {
  const kept = await keepAliveLoad(proxy.httpPort, 32, '/', { reconnects: true })
  await pause(2000)
  const quiet = kept.result.latencies.splice(0)
  const began = performance.now()
  const restartAll = async (): Promise<void> => {
    for (let round = 0; round < restarts; round++) {
      const due = performance.now() + everyMs
      await proxy.restart()
      await pause(Math.max(0, due - performance.now()))
    }
  }
  await restartAll()
  const seconds = (performance.now() - began) / 1000
  const during = kept.result.latencies.slice()
  const result = await kept.stop()
  const fresh = ratedLoad(proxy.httpPort, perSecond)
  await pause(500)
  await restartAll()
  await fresh.stop()
  const lost = fresh.records.filter((record) => record.failure !== undefined)
  return {
    name: proxy.name,
    restarts,
    seconds,
    requests: result.answered,
    lost: result.failures.length,
    connectionsClosed: result.closed,
    freshRequests: fresh.records.length,
    freshLost: lost.length,
    freshRefused: lost.filter((record) => record.failure === 'ECONNREFUSED').length,
    quietP99Ms: percentile(quiet, 0.99),
    duringP99Ms: percentile(during, 0.99),
  }
}

export async function streamsThroughRestarts(
  provider: FarSide,
  count: number,
  restarts: number,
): Promise<{ streams: number; restarts: number; damaged: number; megabytes: number; examples: string[] }> {
  return withHost(startRealWorkers(provider, { tuning }), async (host) => {
    const streams: EchoStream[] = []
    for (let index = 0; index < count; index++) {
      streams.push(await EchoStream.open(host.tcpPort, `t${index}`, 'tcp'))
      streams.push(await EchoStream.open(host.httpPort, `w${index}`, 'websocket'))
    }
    for (const stream of streams) stream.start(20, 1024)
    for (let round = 0; round < restarts; round++) await host.reload()
    const problems = (await Promise.all(streams.map((stream) => stream.finish(10_000)))).filter(
      (problem) => problem !== undefined,
    )
    const megabytes = streams.reduce((sum, stream) => sum + stream.gotBytes, 0) / 1e6
    return { streams: streams.length, restarts, damaged: problems.length, megabytes, examples: problems.slice(0, 3) }
  })
}

export interface KillNumbers {
  readonly what: string
  readonly kills: number
  readonly requests: number
  readonly refused: number
  readonly lost: number
  /** Kills that lost more than the calls that were under way at that moment. */
  readonly killsOverInFlight: number
  readonly worstLostAtOnce: number
  readonly firstAnswerP99Ms: number
  readonly backP99Ms: number
  readonly skipped: number
}

/** `kill -9` of one kind of process again and again, with a center to go to. */
export async function kills(
  what: 'worker' | 'control' | 'watchdog' | 'generation',
  times: number,
  perSecond: number,
): Promise<KillNumbers> {
  const provider = await startFarSide('provider', false)
  const center = await startFarSide('center', true)
  const started = startRealWorkers(provider, { tuning: { ...tuning, restarts: { maxDeaths: 1000, windowMs: 500 } } })
  try {
    return await withHost(started, async (host) => {
      const service = 'public/DEFAULT_GROUP@@orders'
      host.writeTargets({
        writtenAt: Date.now(),
        host: 'bench',
        centers: [`127.0.0.1:${center.port}`],
        listeners: {
          'service:orders': {
            kind: 'service',
            protocol: 'http',
            service,
            center: true,
            direct: true,
            endpoints: [`127.0.0.1:${provider.port}`],
          },
        },
        services: {},
        names: {},
        fallbackNetworks: [],
      })
      await host.until((state) => state.relay.targetsAgeMs >= 0, 'the targets are known')
      const load = ratedLoad(host.httpPort, perSecond)
      await pause(1000)
      const firstAnswers: number[] = []
      const backs: number[] = []
      const lostAtOnce: number[] = []
      let over = 0
      for (let round = 0; round < times; round++) {
        const before = load.records.filter((record) => record.failure !== undefined).length
        const { killedAt, inFlight } = await killOne(host, what, load.inFlight)
        await host.until(
          (state) => host.serving(state)?.children.length === 3 && !state.relay.isRelaying,
          `${what} is back`,
          30_000,
        )
        await pause(600)
        const after = load.records.filter((record) => record.startedAt >= killedAt && record.failure === undefined)
        const first = after.reduce(
          (least, record) => Math.min(least, record.startedAt + record.ms - killedAt),
          Number.POSITIVE_INFINITY,
        )
        firstAnswers.push(first)
        const relayed = after.filter((record) => record.tier === 'center' || record.tier === 'direct')
        backs.push(relayed.length === 0 ? 0 : Math.max(...relayed.map((record) => record.startedAt)) - killedAt)
        const lost = load.records.filter((record) => record.failure !== undefined).length - before
        lostAtOnce.push(lost)
        if (lost > inFlight) over++
      }
      await load.stop()
      const lost = load.records.filter((record) => record.failure !== undefined)
      return {
        what,
        kills: times,
        requests: load.records.length,
        refused: lost.filter((record) => record.failure === 'ECONNREFUSED').length,
        lost: lost.length,
        killsOverInFlight: over,
        worstLostAtOnce: Math.max(...lostAtOnce),
        firstAnswerP99Ms: percentile(firstAnswers, 0.99),
        backP99Ms: percentile(backs, 0.99),
        skipped: load.skipped(),
      }
    })
  } finally {
    await provider.close()
    await center.close()
  }
}

/** Answers when the signal was sent, performance.now(), and how many calls were under way. */
async function killOne(
  host: WatchdogHost,
  what: 'worker' | 'control' | 'watchdog' | 'generation',
  inFlightNow: () => number,
): Promise<{ killedAt: number; inFlight: number }> {
  const state = await host.until((now) => host.serving(now)?.children.length === 3, 'everything runs')
  const children = host.serving(state)!.children
  const moment = { killedAt: performance.now(), inFlight: inFlightNow() }
  if (what === 'watchdog') {
    const watchdog: ChildProcess = host.process!
    watchdog.kill('SIGKILL')
    await once(watchdog, 'exit')
    host.startWatchdog()
    await host.until((now) => now.isAdopted && now.heldShards === 4, 'adopted', 20_000)
    return moment
  }
  const victims = what === 'generation' ? children : children.filter((child) => child.role === what).slice(0, 1)
  for (const victim of victims) process.kill(victim.pid, 'SIGKILL')
  const isReplaced = (pids: readonly number[]): boolean => !victims.some((victim) => pids.includes(victim.pid))
  await host.until(
    (now) => isReplaced(host.serving(now)?.children.map((child) => child.pid) ?? victims.map((victim) => victim.pid)),
    `${what} is replaced`,
    30_000,
  )
  return moment
}

/** Stand-ins that fail in five ways, one after the other, with callers on the healthy generation. */
export async function failedUpgrades(
  times: number,
): Promise<{ upgrades: number; requests: number; lost: number; generationsLeft: number; servedBy: string }> {
  const started = WatchdogHost.start({
    workers: 2,
    tuning: {
      deadlines: { startMs: 1500, drainMs: 3000, stopMs: 2000 },
      restarts: { maxDeaths: 3, probationMs: 60_000 },
    },
  })
  return withHost(started, async (host) => {
    const load = await keepAliveLoad(host.httpPort, 16)
    const kinds = [
      { worker: 'crash-at-start' },
      { worker: 'hang-at-start' },
      { control: 'refuse-config' },
      { worker: 'fail-self-test' },
      { worker: 'crash-at-start', control: 'refuse-config' },
    ]
    for (let round = 0; round < times; round++) {
      const report = await host.upgrade(host.release({ name: `bad ${round}`, ...kinds[round % kinds.length] }))
      if (report.outcome !== 'failed') throw new Error(`a bad version was accepted: ${JSON.stringify(report)}`)
    }
    const result = await load.stop()
    const state = await host.state()
    return {
      upgrades: times,
      requests: result.answered,
      lost: result.failures.length,
      generationsLeft: state.generations.length,
      servedBy: state.generations[0]?.release ?? 'nobody',
    }
  })
}

/** What the watchdog costs while nothing happens: resident MB, and percent of a core over `ms`. */
export async function watchdogAtRest(provider: FarSide, ms: number): Promise<{ megabytes: number; percent: number }> {
  return withHost(startRealWorkers(provider, { tuning }), async (host) => {
    await host.reload()
    const { pid = 0 } = host.process!
    const onCpu = (): number =>
      readdirSync(`/proc/${pid}/task`).reduce(
        (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
        0,
      )
    await pause(5000)
    const before = onCpu()
    await pause(ms)
    const percent = ((onCpu() - before) / (ms * 1e6)) * 100
    const megabytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
    return { megabytes, percent }
  })
}

/**
 * From the command until the old generation is gone, with 64 keep-alive connections: at saturation, or each with an
 * answer of 400 ms.
 */
export async function oneRestart(
  provider: FarSide,
  isBusy: boolean,
  rounds: number,
): Promise<{ times: number[]; requests: number; failures: readonly string[] }> {
  return withHost(startRealWorkers(provider, { tuning }), async (host) => {
    const load = await keepAliveLoad(host.httpPort, 64, isBusy ? '/' : '/slow/400', { reconnects: true })
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      await pause(1000)
      const began = performance.now()
      await host.reload('gone')
      times.push(performance.now() - began)
    }
    const { answered, failures } = await load.stop()
    return { times, requests: answered, failures }
  })
}
