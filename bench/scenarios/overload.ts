/** Twice as much as an application can do, with adaptive concurrency and without: what is still answered, and when. */
import type { ConcurrencySpec } from '../../contracts/policy-spec.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { residentBytes } from '../cpu.ts'
import { startBoundedApplication } from '../load/bounded-application.ts'
import { PacedCallers } from '../load/paced-callers.ts'
import type { PacedAnswer } from '../load/paced-callers.ts'
import { benchService } from '../mesh-snapshot.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atLeast, atMost, format, percentile } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const places = 8
const serviceMs = 20
const mebi = 1_048_576
/** How long there is too much, in windows. */
const overloadWindows = 6
/** What a MeshPolicy without values asks for. */
const concurrency: ConcurrencySpec = {
  percentile: 0.5,
  minLimit: 3,
  maxLimit: 1000,
  updateIntervalMs: 100,
  minRttIntervalMs: 60_000,
  buffer: 0.25,
}

interface Measured {
  readonly peak: number
  readonly normalMs: number
  readonly goodput: number
  readonly acceptedMs: number
  readonly refused: number
  readonly recoveryS: number
  readonly grownMib: number
}

export const overload: Scenario = {
  name: 'overload',
  title: 'Twice what an application can do: goodput, latency, recovery',
  run: async (options) => {
    const adaptive = await measure(options, concurrency)
    const plain = await measure(options, undefined)
    const row = (name: string, one: Measured): string[] => [
      name,
      format(one.peak),
      format(one.goodput),
      format(one.normalMs),
      format(one.acceptedMs),
      String(one.refused),
      format(one.recoveryS),
      format(one.grownMib),
    ]
    return {
      name: 'overload',
      title: overload.title,
      method: [
        `one worker on cpu ${options.proxyCpu}; the application works on ${places} requests at a time, ${serviceMs} ms each, and queues the rest`,
        `peak: ${places} callers in turn, ${options.windowSeconds} s; normal: half the peak, open loop, ${options.windowSeconds} s; then twice the peak, ${overloadWindows * options.windowSeconds} s, its first moment with it; then half again`,
        'goodput: answers with 200 by the end of the overload; recovery: until a second passed without a refusal and with its p99 at most 3 x normal',
      ],
      columns: [
        'adaptive concurrency',
        'peak /s',
        'goodput /s',
        'normal p99 ms',
        'accepted p99 ms',
        'refused',
        'recovery s',
        'memory + MiB',
      ],
      rows: [row('on', adaptive), row('off', plain)],
      goals: [
        atLeast('goodput', adaptive.goodput / adaptive.peak, 0.8, 'x peak'),
        atMost('p99 of what is accepted', adaptive.acceptedMs / adaptive.normalMs, 3, 'x normal'),
        atMost('recovery', adaptive.recoveryS, 5, 's'),
      ],
      remarks: [],
      raw: { adaptive, plain },
    }
  },
}

async function measure(options: BenchOptions, spec: ConcurrencySpec | undefined): Promise<Measured> {
  const { windowSeconds: seconds } = options
  const application = await startBoundedApplication(places, serviceMs)
  const amend = (snapshot: Snapshot): Snapshot => {
    const service = snapshot.services[benchService]!
    return {
      ...snapshot,
      services: { [benchService]: { ...service, policy: { ...service.policy, concurrency: spec } } },
    }
  }
  const mesh = await startMesh({ ...oneWorker(options, application.port, 'http'), amend })
  const callers = new PacedCallers(mesh.port)
  try {
    await callers.inTurn(places, options.warmSeconds / 2)
    const peak = (await callers.inTurn(places, seconds)).length / seconds
    const normalMs = p99(await callers.atRate(Math.round(peak / 2), seconds))
    const before = residentBytes(mesh.pids)
    const begin = performance.now()
    const overSeconds = overloadWindows * seconds
    const end = begin + overSeconds * 1000
    const over = await callers.atRate(Math.round(2 * peak), overSeconds)
    const grown = residentBytes(mesh.pids) - before
    const accepted = over.filter(({ status }) => status === 200)
    const behind = await callers.atRate(Math.round(peak / 2), 2 * seconds)
    const goodput = accepted.filter(({ at, ms }) => at + ms <= end).length / overSeconds
    options.log(
      `  adaptive concurrency ${spec === undefined ? 'off' : 'on'}: peak ${format(peak)}/s, goodput ${format(goodput)}/s`,
    )
    return {
      peak,
      normalMs,
      goodput,
      acceptedMs: p99(accepted),
      refused: over.length - accepted.length,
      recoveryS: recovery([...over, ...behind], end, 3 * normalMs),
      grownMib: grown / mebi,
    }
  } finally {
    callers.close()
    await mesh.close()
    application.close()
  }
}

function p99(answers: readonly PacedAnswer[]): number {
  return percentile(
    answers.map(({ ms }) => ms),
    0.99,
  )
}

/** Seconds from `end` to the beginning of the first good one; NaN: there was none. */
function recovery(answers: readonly PacedAnswer[], end: number, mostMs: number): number {
  const last = Math.max(...answers.map(({ at }) => at))
  for (let from = end; from + 1000 <= last; from += 100) {
    const second = answers.filter(({ at }) => at >= from && at < from + 1000)
    if (second.length > 0 && second.every(({ status }) => status === 200) && p99(second) <= mostMs)
      return (from - end) / 1000
  }
  return NaN
}
