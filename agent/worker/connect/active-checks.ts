/**
 * Asks endpoints whether they can serve, for destinations whose policy wants it: a TCP connect, or an HTTP GET that must answer 200 to 299. Results go to the balancer, which counts them
 * against its thresholds. Checks of one destination are spread over its interval, and at most `maxAtOnce` run at the same time in a worker; what is due beyond that waits.
 */
import type { ActiveCheckSpec } from '../../../contracts/policy-spec.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import { Head } from '../../../http1/head.ts'
import { readReply } from '../../../http1/read-reply.ts'
import type { StringCache } from '../../../http1/string-cache.ts'
import { Method } from '../../../http1/types.ts'
import type { Clock } from '../transport/clock.ts'
import type { Output } from '../transport/output.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Dial, Transport, TransportOwner, Transports } from '../transport/transport.ts'
import type { Upstream } from './upstream.ts'

const maxAtOnce = 64

export interface ActiveCheckDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly output: Output
  readonly strings: StringCache
  readonly random: () => number
  readonly state: { readonly limits: LimitsSpec; serviceUpstreams(): Iterable<Upstream> }
}

export class ActiveChecks {
  private readonly deps: ActiveCheckDeps
  private readonly transports: Transports
  private readonly dueAt = new WeakMap<EndpointState, number>()
  private readonly running = new Set<Check>()

  constructor(deps: ActiveCheckDeps, transports: Transports) {
    this.deps = deps
    this.transports = transports
  }

  /** Starts what is due. Called about ten times a second. */
  tick(now: number): void {
    for (const upstream of this.deps.state.serviceUpstreams()) {
      const spec = upstream.cluster.policy.activeCheck
      if (spec !== undefined) this.checkDue(upstream, spec, now)
    }
  }

  close(): void {
    for (const check of this.running) check.cancel()
    this.running.clear()
  }

  private checkDue(upstream: Upstream, spec: ActiveCheckSpec, now: number): void {
    for (const state of upstream.cluster.states) {
      const due = this.dueAt.get(state)
      if (due === undefined) {
        this.dueAt.set(state, now + this.deps.random() * spec.intervalMs)
        continue
      }
      if (due > now || this.running.size >= maxAtOnce) continue
      this.dueAt.set(state, now + spec.intervalMs)
      const check = new Check(this.deps, state, spec, upstream.cluster.service, (isGood) => {
        this.running.delete(check)
        upstream.cluster.activeCheckResult(state, isGood, this.deps.clock.now)
      })
      this.running.add(check)
      check.start(this.transports)
    }
  }
}

class Check implements TransportOwner, TimerOwner {
  private readonly deps: ActiveCheckDeps
  private readonly state: EndpointState
  private readonly spec: ActiveCheckSpec
  private readonly authority: string
  private readonly onResult: (isGood: boolean) => void
  private readonly timer: Timer
  private dial: Dial | null = null
  private transport: Transport | null = null
  private received = Buffer.alloc(0)
  private isOver = false

  constructor(
    deps: ActiveCheckDeps,
    state: EndpointState,
    spec: ActiveCheckSpec,
    service: string,
    onResult: (isGood: boolean) => void,
  ) {
    this.deps = deps
    this.state = state
    this.spec = spec
    this.authority = service.slice(service.indexOf('@@') + 2)
    this.onResult = onResult
    this.timer = new Timer(this, 0)
  }

  start(transports: Transports): void {
    this.deps.wheel.arm(this.timer, this.deps.clock.now + this.spec.timeoutMs)
    this.dial = transports.dial(this.state.address, this.state.port, (transport) => {
      this.dial = null
      this.transport = transport
      if (transport === null || this.spec.kind === 'tcp') {
        this.finish(transport !== null)
        return
      }
      transport.owner = this
      const { output } = this.deps
      const path = this.spec.path === '' ? '/' : this.spec.path
      output.latin1(
        `GET ${path} HTTP/1.1\r\nHost: ${this.authority}\r\nUser-Agent: hostmesh-check\r\nConnection: close\r\n\r\n`,
      )
      transport.write(output)
      transport.resumeReading()
    })
  }

  cancel(): void {
    this.isOver = true
    this.end()
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
    const head = new Head(this.deps.strings, this.deps.state.limits.maxFields)
    const { limits } = this.deps.state
    const taken = readReply(head, this.received, 0, this.received.length, limits, Method.get, false)
    if (taken === 0) return
    this.finish(taken > 0 && head.status >= 200 && head.status < 300)
  }

  onEnd(): void {
    this.finish(false)
  }

  onDrained(): void {}

  onClosed(): void {
    this.finish(false)
  }

  onTimer(): void {
    this.finish(false)
  }

  private finish(isGood: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.end()
    this.deps.clock.refresh()
    this.onResult(isGood)
  }

  private end(): void {
    this.deps.wheel.drop(this.timer)
    this.dial?.cancel()
    this.transport?.close()
  }
}
