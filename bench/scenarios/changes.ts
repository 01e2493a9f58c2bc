/**
 * Rules and endpoints that change ten times a second under full load: no request lost, and how much slower the slowest
 * ones become.
 */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeControlHost, startControl, startWorker } from '../control-host.ts'
import { busyTicks, cpuNanoseconds } from '../cpu.ts'
import { runWrk } from '../load/wrk.ts'
import type { WrkResult } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { freePort, untilExists, untilListening } from '../processes.ts'
import type { Program } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const connections = 64
const service = 'orders'
const origins = 4
const pauseMs = 100
/** At least, however few windows are asked for. */
const leastChangingSeconds = 30

interface Window extends WrkResult {
  readonly changes: number
  /** Share of the proxy's CPU that other programs used. */
  readonly foreignShare: number
}

export const changes: Scenario = {
  name: 'changes',
  title: 'Ten changes of rules and endpoints per second at full load',
  isInTurn: true,
  run: async (options) => {
    const { quiet, changing } = await measure(options)
    const p999 = (windows: readonly Window[]): number => median(windows.map(({ latency }) => latency.p999))
    const rows = { quiet, changing }
    const errors = [...quiet, ...changing].reduce((sum, window) => sum + window.errors, 0)
    const foreign = median([...quiet, ...changing].map((window) => window.foreignShare))
    return {
      name: 'changes',
      title: changes.title,
      method: [
        `real control with a registry in memory and real worker; worker on cpu ${options.proxyCpu}; generator (wrk, ${connections} keep-alive connections, as fast as answers come) and origin on cpu ${options.loadCpu};`,
        `control on either; ${quiet.length} quiet windows of ${options.windowSeconds} s and as many with one change every ${pauseMs} ms in turn: new routes, weights, header edits, balancer and rate limit, then`,
        `endpoints that leave or come; ${origins} endpoints in two subsets; latency of every request; medians over the windows`,
      ],
      columns: ['windows', 'requests', 'errors', 'changes', 'requests/s', 'p50 µs', 'p99 µs', 'p99.9 µs', 'max µs'],
      rows: Object.entries(rows).map(([name, windows]) => [
        name,
        ...(['requests', 'errors', 'changes'] as const).map((key) =>
          String(windows.reduce((sum, window) => sum + window[key], 0)),
        ),
        format(median(windows.map((window) => window.requestsPerSecond))),
        format(median(windows.map(({ latency }) => latency.p50))),
        format(median(windows.map(({ latency }) => latency.p99))),
        format(p999(windows)),
        format(Math.max(...windows.map(({ latency }) => latency.max))),
      ]),
      goals: [
        atMost('requests lost', errors, 0, ''),
        atMost('p99.9 with changes against quiet', p999(changing) / p999(quiet), 2, 'x'),
      ],
      remarks:
        foreign > 0.05 ? [`other programs used ${format(foreign * 100)} % of the proxy's CPU: run it again`] : [],
      raw: rows,
    }
  },
}

async function measure(options: BenchOptions): Promise<{ quiet: Window[]; changing: Window[] }> {
  const origin = await startOrigin(options.loadCpu, origins)
  const port = await freePort()
  const host = makeControlHost('changes', {
    http: `127.0.0.1:${await freePort()}`,
    services: [{ service, protocol: 'http', port }],
  })
  const control = startControl(options, 'bench/load/changes-main.js', host, [service, ...origin.ports.map(String)])
  let worker: Program | undefined
  try {
    await untilExists(host.socket, control)
    worker = startWorker(options, host)
    await untilListening(port, worker)
    const pids = [worker.pid, control.pid]
    const changer = new Changer(control)
    const window = async (isChanging: boolean, seconds: number): Promise<Window> => {
      const before = { own: cpuNanoseconds(pids), busy: busyTicks(options.proxyCpu), made: changer.made }
      const load = runWrk({ cpus: options.loadCpu, url: `http://127.0.0.1:${port}/`, connections, seconds })
      if (isChanging) await changer.during(load)
      const result = await load
      const busy = (busyTicks(options.proxyCpu) - before.busy) * 10_000
      const own = (cpuNanoseconds(pids) - before.own) / 1000
      const foreignShare = Math.max(0, busy - own) / (seconds * 1e6)
      return { ...result, changes: changer.made - before.made, foreignShare }
    }
    options.log(`  warming for ${options.warmSeconds} s`)
    await window(true, options.warmSeconds)
    const rounds = Math.max(options.windows, Math.ceil(leastChangingSeconds / options.windowSeconds))
    const quiet: Window[] = []
    const changing: Window[] = []
    for (let round = 1; round <= rounds; round++) {
      for (const isChanging of [false, true]) {
        const found = await window(isChanging, options.windowSeconds)
        ;(isChanging ? changing : quiet).push(found)
        const { p50, p999, max } = found.latency
        options.log(
          `  ${round}/${rounds} ${isChanging ? 'changing' : 'quiet'}: ${format(found.requestsPerSecond)}/s, p50 ${p50} µs, p99.9 ${p999} µs, max ${max} µs, ${found.errors} errors, others ${format(found.foreignShare * 100)} %`,
        )
      }
    }
    return { quiet, changing }
  } finally {
    await worker?.stop()
    await control.stop()
    await origin.close()
    host.close()
  }
}

/** Tells control what to change next, and waits for its word. */
class Changer {
  made = 0
  private readonly program: Program
  private readonly lines: AsyncIterator<string>

  constructor(program: Program) {
    this.program = program
    this.lines = createInterface(program.child.stdout!)[Symbol.asyncIterator]()
  }

  async during(load: Promise<unknown>): Promise<void> {
    let isOver = false
    void load.finally(() => (isOver = true)).catch(() => undefined)
    while (!isOver) {
      const pause = sleep(pauseMs)
      this.program.child.stdin!.write(`${this.made}\n`)
      await this.lines.next()
      this.made++
      await pause
    }
  }
}
