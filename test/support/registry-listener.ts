/** What a subscriber of a registry adapter heard, and ways to wait for it. */
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../contracts/clock.ts'
import { endpointId } from '../../contracts/endpoint.ts'
import type { EndpointSet } from '../../contracts/endpoint.ts'
import type { AdapterDeps, EndpointListener, RegistryProblem } from '../../contracts/registry-adapter.ts'

export interface RecordingListener extends EndpointListener {
  readonly sets: EndpointSet[]
  /** Sets that the adapter had asked for again. */
  readonly confirmed: EndpointSet[]
  readonly problems: RegistryProblem[]
  /** Everything in order: `set 10.0.0.1:80 …` or `stale CODE`. */
  readonly story: string[]
  readonly last: EndpointSet | undefined
  /** Ids of the last set. */
  readonly ids: string[]
  /** Waits until the last set has exactly these ids, in any order. */
  untilIds(ids: readonly string[], timeoutMs?: number): Promise<EndpointSet>
  until(check: (set: EndpointSet) => boolean, what: string, timeoutMs?: number): Promise<EndpointSet>
}

export function recordingListener(): RecordingListener {
  const sets: EndpointSet[] = []
  const confirmed: EndpointSet[] = []
  const problems: RegistryProblem[] = []
  const story: string[] = []
  const ids = (): string[] => sets.at(-1)?.endpoints.map(endpointId) ?? []
  const until = async (
    check: (set: EndpointSet) => boolean,
    what: string,
    timeoutMs = 60_000,
  ): Promise<EndpointSet> => {
    await eventually(
      () => sets.length > 0 && check(sets.at(-1)!),
      () => `${what}; heard ${story.length === 0 ? 'nothing' : story.slice(-5).join(' | ')}`,
      timeoutMs,
    )
    return sets.at(-1)!
  }
  return {
    sets,
    confirmed,
    problems,
    story,
    get last() {
      return sets.at(-1)
    },
    get ids() {
      return ids()
    },
    onEndpoints: (set, isConfirmed) => {
      sets.push(set)
      if (isConfirmed) confirmed.push(set)
      story.push(`set ${set.endpoints.map(endpointId).join(' ')}`)
    },
    onStale: (problem) => {
      problems.push(problem)
      story.push(`stale ${problem.code}`)
    },
    until,
    untilIds: (wanted, timeoutMs) => {
      const text = [...wanted].sort().join()
      return until(() => [...ids()].sort().join() === text, `the endpoints ${text}`, timeoutMs)
    },
  }
}

/** Waits for a condition. Rejects with what was waited for. */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  what: string | (() => string),
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await check())) {
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs} ms for ${typeof what === 'string' ? what : what()}`)
    await delay(10)
  }
}

export interface RecordedDeps extends AdapterDeps {
  /** `level message {fields}` */
  readonly lines: string[]
  /** Sum of a counter over all labels that contain `labels`. */
  counted(name: string, labels?: Readonly<Record<string, string>>): number
  gauged(name: string, labels?: Readonly<Record<string, string>>): number | undefined
}

/** Dependencies of an adapter that remember what was logged and counted. */
export function recordedDeps(): RecordedDeps {
  const lines: string[] = []
  const counters: { name: string; labels: Readonly<Record<string, string>>; amount: number }[] = []
  const gauges: { name: string; labels: Readonly<Record<string, string>>; value: number }[] = []
  const matches = (labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => labels[key] === value)
  const level = (name: string) => (fields: object, message: string) =>
    void lines.push(`${name} ${message} ${JSON.stringify(fields)}`)
  return {
    clock: systemClock,
    random: Math.random,
    lines,
    log: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') },
    metrics: {
      count: (name, labels, amount = 1) => void counters.push({ name, labels, amount }),
      gauge: (name, labels, value) => void gauges.push({ name, labels, value }),
    },
    counted: (name, labels = {}) =>
      counters
        .filter((one) => one.name === name && matches(one.labels, labels))
        .reduce((sum, one) => sum + one.amount, 0),
    gauged: (name, labels = {}) => gauges.findLast((one) => one.name === name && matches(one.labels, labels))?.value,
  }
}
