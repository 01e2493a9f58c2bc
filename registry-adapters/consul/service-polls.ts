/**
 * Blocking queries, one for each service that is wanted, as long as there are not too many; beyond that each place
 * takes several services in turn. Consul's rules are kept: an index is above 0, one that goes backwards begins anew,
 * and a server that answers at once for no reason is not asked at full speed. Source: HTTP API of Consul, "Blocking
 * queries".
 */
import type { Clock } from '../../contracts/clock.ts'
import type { ServiceKey } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { HttpAnswer } from '../http/http-client.ts'

export interface ServicePollsDeps {
  /** Asks once. `index` 0 = answer at once; otherwise wait for a change, at most `waitMs`. */
  ask(name: string, index: bigint, waitMs: number, signal: AbortSignal): Promise<HttpAnswer>
  onAnswer(key: ServiceKey, answer: HttpAnswer): void
  onFailure(key: ServiceKey, error: MeshError): void
  readonly waitMs: number
  readonly clock: Clock
  readonly random: () => number
}

/** Below the 200 connections that a Consul agent takes from one address by default. */
const maxPlaces = 96
/** Longest that a change of a service may stay unseen because others share its place. */
const maxTurnMs = 10_000
/**
 * Questions for one service, against a server that answers each at once: so many in a row, and in the long run not more
 * than one in this time. A change that follows on another is not kept waiting.
 */
const burst = 20
const minGapMs = 100
const minRetryMs = 500
const maxRetryMs = 10_000

interface Poll {
  readonly key: ServiceKey
  readonly name: string
  index: bigint
  failures: number
  /** When the questions asked so far are paid for at that pace, in the clock's monotonic time. */
  paidAt: number
  /** Earliest next question, in the same time. */
  notBefore: number
  isQueued: boolean
  isOver: boolean
  abort: AbortController | undefined
}

export class ServicePolls {
  private readonly deps: ServicePollsDeps
  private readonly polls = new Map<ServiceKey, Poll>()
  private queue: Poll[] = []
  private active = 0
  private cancel: (() => void) | undefined
  private isPaused = true

  constructor(deps: ServicePollsDeps) {
    this.deps = deps
  }

  add(key: ServiceKey, name: string): void {
    const poll = {
      key,
      name,
      index: 0n,
      failures: 0,
      paidAt: 0,
      notBefore: 0,
      isQueued: false,
      isOver: false,
      abort: undefined,
    }
    this.polls.set(key, poll)
    this.put(poll)
    // a place that waits long for another service makes room
    if (this.polls.size > maxPlaces) this.interruptOldest()
  }

  remove(key: ServiceKey): void {
    const poll = this.polls.get(key)
    if (poll === undefined) return
    this.polls.delete(key)
    poll.isOver = true
    poll.abort?.abort()
  }

  /** This one is asked for anew, at once. */
  again(key: ServiceKey): void {
    const poll = this.polls.get(key)
    if (poll === undefined) return
    poll.index = 0n
    poll.notBefore = 0
    this.put(poll)
    poll.abort?.abort()
  }

  /** Every service is asked for anew, at once: the registry is back. */
  resume(): void {
    this.isPaused = false
    for (const [key, poll] of this.polls) {
      poll.failures = 0
      this.again(key)
    }
    this.go()
  }

  /** The registry is away: nothing is asked until `resume()`. */
  pause(): void {
    this.isPaused = true
    for (const poll of this.polls.values()) poll.abort?.abort()
  }

  close(): void {
    this.pause()
    this.cancel?.()
    for (const key of this.polls.keys()) this.remove(key)
    this.queue = []
  }

  private put(poll: Poll): void {
    if (poll.isQueued || poll.isOver) return
    poll.isQueued = true
    this.queue.push(poll)
    this.go()
  }

  private go(): void {
    if (this.isPaused) return
    this.cancel?.()
    const now = this.deps.clock.monotonic()
    const later: Poll[] = []
    let nextMs = Infinity
    while (this.queue.length > 0 && this.active < maxPlaces) {
      const poll = this.queue.shift()!
      if (poll.isOver) continue
      // its last question is still being given up
      if (poll.abort === undefined && poll.notBefore <= now) void this.poll(poll)
      else {
        later.push(poll)
        nextMs = Math.min(nextMs, poll.notBefore - now)
      }
    }
    this.queue.push(...later)
    if (later.length > 0) this.cancel = this.deps.clock.after(Math.max(10, nextMs), () => this.go())
  }

  private async poll(poll: Poll): Promise<void> {
    poll.isQueued = false
    const abort = new AbortController()
    poll.abort = abort
    this.active++
    poll.paidAt = Math.max(poll.paidAt, this.deps.clock.monotonic()) + minGapMs
    try {
      const answer = await this.deps.ask(poll.name, poll.index, this.waitMs(), abort.signal)
      if (!poll.isOver && !abort.signal.aborted) {
        // a refusal has no index, so nothing at Consul keeps the next question waiting
        if (answer.status < 200 || answer.status > 299) this.backOff(poll)
        else {
          poll.failures = 0
          poll.index = nextIndex(poll.index, answer.headers['x-consul-index'])
          poll.notBefore = poll.paidAt - burst * minGapMs
        }
        this.deps.onAnswer(poll.key, answer)
      }
    } catch (error) {
      if (!poll.isOver && !abort.signal.aborted) {
        this.backOff(poll)
        this.deps.onFailure(poll.key, error as MeshError)
      }
    } finally {
      this.active--
      poll.abort = undefined
      // what the answer changed goes to the workers in the turn between: it does not wait for the next question
      setImmediate(() => {
        // somebody may have had it asked again meanwhile
        if (poll.abort === undefined) this.put(poll)
        this.go()
      })
    }
  }

  private backOff(poll: Poll): void {
    poll.index = 0n
    const pauseMs = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(poll.failures++, 8))
    poll.notBefore = this.deps.clock.monotonic() + pauseMs * (0.5 + 0.5 * this.deps.random())
  }

  /** Alone on its place a question waits as long as it may; otherwise all of a place have had their turn in time. */
  private waitMs(): number {
    const perPlace = Math.ceil(this.polls.size / maxPlaces)
    return perPlace <= 1 ? this.deps.waitMs : Math.max(minGapMs, Math.floor(maxTurnMs / perPlace))
  }

  private interruptOldest(): void {
    for (const poll of this.polls.values()) {
      if (poll.abort === undefined || poll.index === 0n) continue
      poll.abort.abort()
      return
    }
  }
}

function nextIndex(before: bigint, header: string | string[] | undefined): bigint {
  if (typeof header !== 'string' || !/^\d{1,19}$/.test(header)) return 0n
  const index = BigInt(header)
  if (index === 0n) return 1n
  return index < before ? 0n : index
}
