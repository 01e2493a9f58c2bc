/**
 * Asks endpoints whether they can serve, for destinations whose policy wants it: a TCP connect, an HTTP GET that must
 * answer 200 to 299, or gRPC's own health check, which must answer SERVING. Results go to the balancer, which counts
 * them against its thresholds. Checks of one destination are spread over its interval, and at most `maxAtOnce` run at
 * the same time in a worker; what is due beyond that waits.
 */
import { grpcType } from '../../../contracts/grpc-wire.ts'
import type { ActiveCheckSpec } from '../../../contracts/policy-spec.ts'
import type { EndpointState } from '../balance/types.ts'
import type {
  Fields,
  LinkHome,
  ReplyMessage,
  ReplyVerdict,
  Scheme,
  UpstreamCodec,
  UpstreamLink,
  UpstreamOwner,
  UpstreamStream,
} from '../forward/streams.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Transport } from '../transport/transport.ts'
import { noEdits, OwnRequest } from './own-request.ts'
import type { Dialer, DialUser, PendingDial } from './dialer.ts'
import { HealthAnswer, healthPath, healthQuestion } from './grpc-health.ts'
import { schemeOf } from './upstream-tls.ts'
import type { Upstream } from './upstream.ts'

const maxAtOnce = 64
const getFields: Fields = [['user-agent', 'hostmesh-check']]
const callFields: Fields = [...getFields, ['content-type', grpcType]]

export interface ActiveCheckDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly dialer: Pick<Dialer, 'dial'>
  readonly random: () => number
  readonly state: { serviceUpstreams(): Iterable<Upstream> }
}

export class ActiveChecks {
  private readonly deps: ActiveCheckDeps
  private readonly dueAt = new WeakMap<EndpointState, number>()
  private readonly running = new Set<Check>()

  constructor(deps: ActiveCheckDeps) {
    this.deps = deps
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
      const check = new Check(this.deps, upstream, state, spec, (isGood) => {
        this.running.delete(check)
        upstream.cluster.activeCheckResult(state, isGood, this.deps.clock.now)
      })
      this.running.add(check)
      check.start()
    }
  }
}

/** gRPC is said in HTTP/2, whatever requests are said in. */
function codecFor({ kind }: ActiveCheckSpec, { pools }: Upstream): UpstreamCodec {
  return kind === 'grpc' ? pools.deps.codecs.of('http2') : pools.codec
}

function alpnFor({ kind }: ActiveCheckSpec, { pools }: Upstream): readonly string[] {
  return kind === 'grpc' ? ['h2'] : pools.alpn
}

/** One question to one endpoint, over a connection of its own. */
class Check implements UpstreamOwner, LinkHome, TimerOwner, DialUser {
  readonly contentTarget = null
  private readonly deps: ActiveCheckDeps
  private readonly upstream: Upstream
  private readonly state: EndpointState
  private readonly spec: ActiveCheckSpec
  private readonly authority: string
  private readonly onResult: (isGood: boolean) => void
  private readonly timer: Timer
  private dial: PendingDial | null = null
  private link: UpstreamLink | null = null
  private stream: UpstreamStream | null = null
  /** Of a check in gRPC. */
  private health: HealthAnswer | null = null
  private isOver = false

  constructor(
    deps: ActiveCheckDeps,
    upstream: Upstream,
    state: EndpointState,
    spec: ActiveCheckSpec,
    onResult: (isGood: boolean) => void,
  ) {
    this.deps = deps
    this.upstream = upstream
    this.state = state
    this.spec = spec
    const { service } = upstream.cluster
    this.authority = service.slice(service.indexOf('@@') + 2)
    this.onResult = onResult
    this.timer = new Timer(this, 0)
  }

  start(): void {
    const { deps, state, upstream } = this
    deps.wheel.arm(this.timer, deps.clock.now + this.spec.timeoutMs)
    this.dial = deps.dialer.dial(
      state,
      upstream.cluster,
      { identity: undefined, protocols: alpnFor(this.spec, upstream) },
      this,
    )
  }

  onDialed(transport: Transport): void {
    this.dial = null
    if (this.spec.kind === 'tcp') this.reached(transport)
    else this.ask(transport)
  }

  onDialFailed(): void {
    this.dial = null
    this.finish(false)
  }

  private reached(transport: Transport): void {
    transport.close()
    this.finish(true)
  }

  private ask(transport: Transport): void {
    const { kind, path, service = '' } = this.spec
    this.link = codecFor(this.spec, this.upstream).openLink(transport, this, null)
    const stream = this.link.open(this, false)
    this.stream = stream
    if (kind === 'grpc') {
      const question = healthQuestion(service)
      this.health = new HealthAnswer()
      stream.send(this.request('POST', healthPath, question.length), noEdits)
      stream.content(question, 0, question.length)
    } else {
      stream.send(this.request('GET', path === '' ? '/' : path, 0), noEdits)
    }
    stream.end(null)
    stream.flush()
  }

  private request(method: 'GET' | 'POST', target: string, contentLength: number): OwnRequest {
    const fields = method === 'POST' ? callFields : getFields
    return new OwnRequest({ method, authority: this.authority, target, fields, contentLength })
  }

  cancel(): void {
    this.isOver = true
    this.end()
  }

  onInterim(): void {}

  onReply({ status }: ReplyMessage): ReplyVerdict {
    if (this.health === null || status !== 200) this.finish(status >= 200 && status < 300 && this.health === null)
    return 'pass'
  }

  onContent(buf: Buffer, from: number, to: number): void {
    this.health?.take(buf, from, to)
  }
  onMoved(): void {}
  onPause(): void {}

  onEnd(trailers: Fields | null): void {
    const { stream } = this
    this.stream = null
    stream?.release()
    const isOk = trailers?.some(([name, value]) => name === 'grpc-status' && value === '0') === true
    this.finish(isOk && this.health !== null && this.health.isServing)
  }

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
  linkWidened(): void {}
  linkSpent(): void {}
  linkEnded(): void {}
  linkLost(): void {}
  linkLeft(): void {}
  readonly place = null
  get scheme(): Scheme {
    return schemeOf(this.upstream.cluster.policy.tls)
  }
  readonly caller = null

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
