/**
 * Readiness of our own sockets: one epoll set beside libuv's, and inside it, so that libuv wakes us.
 *
 * libuv is given the set's descriptor as if it were a pipe, with no memory to read into: whenever the set has events it
 * says so (UV_ENOBUFS), once per turn for all of them. Ticks, microtasks and uncaught exceptions are Node's as ever.
 * Nothing wakes up where nothing happens.
 *
 * Events are edges: each is told once. What a watched object leaves for later it asks for with `again`. An owner that
 * throws costs nobody else an event.
 */
import { getSystemErrorName } from 'node:util'

import type { FastCalls } from '../../../../native/fast-calls.ts'
import { loadBindings, loadWaker } from '../raw-bindings.ts'
import type { Waker } from '../raw-bindings.ts'

export const Edge = { in: 0x1, urgent: 0x2, out: 0x4, error: 0x8, hangUp: 0x10, peerEnd: 0x2000 } as const
/** What a connection of TCP is watched for, all its life: EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET. */
export const everyEdge = Edge.in | Edge.urgent | Edge.out | Edge.peerEnd | (1 << 31)

/** The same without writing, for a socket that tells of room without having been asked: see `EpollTransport.edges`. */
export const readingEdges = everyEdge & ~Edge.out

export interface Watched {
  /** `events`: bits of `Edge`. */
  onEvents(events: number): void
  /** It had asked for another turn. */
  onTurn(): void
  /** Whether `again` was asked for and has not come. Kept by the loop. */
  isQueued: boolean
}

export class EpollLoop {
  readonly calls: FastCalls
  private readonly queue: number
  private readonly waker: Waker
  /** By descriptor. */
  private readonly watched: (Watched | undefined)[] = []
  /** Told back by each event: one that was under way when its descriptor was closed and given out anew is nobody's. */
  private readonly turns: number[] = []
  private lastTurn = 0
  private count = 0
  /** Events of the last take that were not told yet: `at..end`. */
  private at = 0
  private end = 0
  private queued: Watched[] = []
  private serving: Watched[] = []
  private served = 0
  private isServeDue = false
  private readonly serveNow = (): void => this.serve()

  /** Throws when the system refuses. */
  constructor(calls: FastCalls) {
    this.calls = calls
    this.queue = calls.epollCreate()
    if (this.queue < 0) throw new Error(`epoll_create1: errno ${-this.queue}`)
    this.waker = loadWaker(loadBindings(), this.queue, () => this.take())
  }

  /** 0, or errno when the system refuses; nothing is watched then. */
  add(descriptor: number, watched: Watched, events: number): number {
    const turn = (this.lastTurn = (this.lastTurn + 1) & 0x7fff_ffff)
    const result = this.calls.epollAdd(this.queue, descriptor, events, descriptor, turn)
    if (result < 0) return -result
    this.watched[descriptor] = watched
    this.turns[descriptor] = turn
    if (this.count++ === 0) this.waker.ref()
    return 0
  }

  /** Another object takes over what is watched already. */
  replace(descriptor: number, watched: Watched): void {
    this.watched[descriptor] = watched
  }

  change(descriptor: number, events: number): void {
    this.calls.epollChange(this.queue, descriptor, events, descriptor, this.turns[descriptor]!)
  }

  /** Before its descriptor is closed, also when a copy of it lives on somewhere: the set would go on telling of it. */
  remove(descriptor: number): void {
    if (this.watched[descriptor] === undefined) return
    this.calls.epollRemove(this.queue, descriptor)
    this.watched[descriptor] = undefined
    this.turns[descriptor] = -1
    if (--this.count === 0) this.waker.unref()
  }

  /** `onTurn` comes soon, in another turn of Node's loop, after everybody who asked before. */
  again(watched: Watched): void {
    if (watched.isQueued) return
    watched.isQueued = true
    this.queued.push(watched)
    this.dueServe()
  }

  private take(): void {
    if (this.at === this.end) {
      this.at = 0
      this.end = Math.max(0, this.calls.epollTake(this.queue))
    }
    try {
      this.tell()
    } finally {
      if (this.at < this.end) setImmediate(() => this.take())
    }
  }

  private tell(): void {
    const { events } = this.calls
    const { turns, watched } = this
    while (this.at < this.end) {
      const index = this.at++
      const descriptor = events.key(index)
      if (turns[descriptor] === events.turn(index)) watched[descriptor]!.onEvents(events.what(index))
    }
  }

  private dueServe(): void {
    if (this.isServeDue) return
    this.isServeDue = true
    setImmediate(this.serveNow)
  }

  private serve(): void {
    this.isServeDue = false
    if (this.served === this.serving.length) {
      const done = this.serving
      done.length = 0
      this.serving = this.queued
      this.queued = done
      this.served = 0
    }
    try {
      while (this.served < this.serving.length) {
        const watched = this.serving[this.served++]!
        watched.isQueued = false
        watched.onTurn()
      }
    } finally {
      if (this.served < this.serving.length || this.queued.length > 0) this.dueServe()
    }
  }
}

/** What `add` answered, as an error. */
export function refusal(errno: number, what: string): Error {
  const code = getSystemErrorName(-errno)
  return Object.assign(new Error(`${what}: ${code}`), { code, errno: -errno })
}
