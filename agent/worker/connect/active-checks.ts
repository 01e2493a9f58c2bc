/**
 * Asks endpoints whether they can serve, for destinations whose policy wants it: a TCP connect, or an HTTP GET that
 * must answer 200 to 299. Results go to the balancer, which counts them against its thresholds. Checks of one
 * destination are spread over its interval, and at most `maxAtOnce` run at the same time in a worker; what is due
 * beyond that waits.
 */
import type { ActiveCheckSpec } from '../../../contracts/policy-spec.ts'
import type { EndpointState } from '../balance/types.ts'
import type {
  LinkHome,
  ReplyMessage,
  ReplyVerdict,
  UpstreamCodec,
  UpstreamLink,
  UpstreamOwner,
  UpstreamStream,
} from '../forward/streams.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Dial, Transport, Transports } from '../transport/transport.ts'
import { CheckRequest, noEdits } from './check-request.ts'
import type { Upstream } from './upstream.ts'

const maxAtOnce = 64

export interface ActiveCheckDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly state: { serviceUpstreams(): Iterable<Upstream> }
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
      const check = new Check(this.deps, upstream.pools.codec, state, spec, upstream.cluster.service, (isGood) => {
        this.running.delete(check)
        upstream.cluster.activeCheckResult(state, isGood, this.deps.clock.now)
      })
      this.running.add(check)
      check.start(this.transports)
    }
  }
}

/** One question to one endpoint, over a connection of its own. */
class Check implements UpstreamOwner, LinkHome, TimerOwner {
  readonly contentTarget = null
  private readonly deps: ActiveCheckDeps
  private readonly codec: UpstreamCodec
  private readonly state: EndpointState
  private readonly spec: ActiveCheckSpec
  private readonly authority: string
  private readonly onResult: (isGood: boolean) => void
  private readonly timer: Timer
  private dial: Dial | null = null
  private link: UpstreamLink | null = null
  private stream: UpstreamStream | null = null
  private isOver = false

  constructor(
    deps: ActiveCheckDeps,
    codec: UpstreamCodec,
    state: EndpointState,
    spec: ActiveCheckSpec,
    service: string,
    onResult: (isGood: boolean) => void,
  ) {
    this.deps = deps
    this.codec = codec
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
      if (transport === null) this.finish(false)
      else if (this.spec.kind === 'tcp') this.reached(transport)
      else this.ask(transport)
    })
  }

  private reached(transport: Transport): void {
    transport.close()
    this.finish(true)
  }

  private ask(transport: Transport): void {
    const { path } = this.spec
    this.link = this.codec.openLink(transport, this)
    const stream = this.link.open(this, false)
    this.stream = stream
    stream.send(new CheckRequest(this.authority, path === '' ? '/' : path), noEdits)
    stream.end(null)
    stream.flush()
  }

  cancel(): void {
    this.isOver = true
    this.end()
  }

  onInterim(): void {}

  onReply({ status }: ReplyMessage): ReplyVerdict {
    this.finish(status >= 200 && status < 300)
    return 'pass'
  }

  onContent(): void {}
  onMoved(): void {}
  onPause(): void {}
  onEnd(): void {}

  onSwitch(): void {
    this.finish(false)
  }

  onBroken(): void {
    this.stream = null
    this.finish(false)
  }

  onDrained(): void {}

  /** Of a protocol whose connections outlive their streams. */
  linkFreed(): void {
    this.link!.close()
  }
  linkSpent(): void {}
  linkEnded(): void {}
  linkLost(): void {}

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
    const { stream } = this
    this.stream = null
    this.deps.wheel.drop(this.timer)
    this.dial?.cancel()
    stream?.abandon()
  }
}
