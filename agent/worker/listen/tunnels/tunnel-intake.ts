import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import type { StringCache } from '../../../../http1/string-cache.ts'
import type { ParkedNames } from '../../mesh/parked-names.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { Transport } from '../../transport/transport.ts'
import { mayBeAName } from '../../route/name-table.ts'
import type { Arriving, IntakeStep, NextStep } from '../arriving.ts'
import { callerName } from '../caller-identity.ts'
import type { CallerIdentity } from '../caller-identity.ts'
import { FirstBytes } from '../first-bytes.ts'
import { RefusalReply, refusal } from '../refusal-reply.ts'
import type { RefusalReplyDeps } from '../refusal-reply.ts'
import { ConnectRequest, connectWord } from './connect-request.ts'
import { Socks5, socksVersion } from './socks5.ts'
import type { TunnelProblem, TunnelRequest } from './tunnel.ts'

export interface TunnelIntakeDeps extends RefusalReplyDeps {
  readonly callers: Pick<CallerIdentity, 'shareOf'>
  readonly limits: () => LimitsSpec
  readonly parked: Pick<ParkedNames, 'park'>
  readonly strings: StringCache
  readonly tallies: Pick<Tallies, 'tunnels' | 'tunnelRefusals'>
  /** The virtual host of a name; null = nobody knows it, undefined = control has to be asked. */
  readonly find: (name: string) => { readonly name: string } | null | undefined
}

const noSuchName: TunnelProblem = {
  status: 503,
  code: 'E_ROUTE_UNKNOWN_SERVICE',
  text: 'the name is known to no registry and no rule',
}
const notKnownYet: TunnelProblem = {
  ...noSuchName,
  text: 'the name is not known yet; no registry has answered in time',
}
const tooManyParked: TunnelProblem = {
  status: 503,
  code: 'E_OVERLOAD',
  text: 'too many requests wait for services to be looked up',
}

/**
 * Finds CONNECT of HTTP/1.1 and SOCKS5 among what comes in at a shared HTTP port that takes tunnels, and lets the
 * connection go on as a raw one to the service that it names. Only names that the mesh knows lead anywhere: services of
 * registries, and what a ServiceEntry declares. Everything else is HTTP. Bounds: those of a request's head in bytes and
 * time, and of unknown names (`mesh/parked-names.ts`).
 */
export class TunnelIntake implements IntakeStep {
  private readonly deps: TunnelIntakeDeps

  constructor(deps: TunnelIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    if (arriving.spec.kind !== 'shared-http' || arriving.spec.tunnels !== true) next(arriving)
    else new TunnelRead(this.deps, arriving, next).begin(this.deps.limits().headTimeoutMs)
  }
}

class TunnelRead extends FirstBytes {
  private readonly deps: TunnelIntakeDeps
  private readonly next: NextStep
  private connect: ConnectRequest | null = null
  private socks: Socks5 | null = null

  constructor(deps: TunnelIntakeDeps, arriving: Arriving, next: NextStep) {
    super(deps, arriving)
    this.deps = deps
    this.next = next
  }

  /** HTTP has times of its own for a caller that says nothing. */
  onTimer(): void {
    if (this.received.length === 0 && this.socks === null) this.goOnAsHttp()
    else this.end()
  }

  protected look(): boolean {
    if (this.connect !== null) return this.readConnect(this.connect)
    if (this.socks !== null) return this.readSocks(this.socks)
    const { received } = this
    if (received.length === 0) return false
    if (received[0] === socksVersion) {
      this.socks = new Socks5()
      return this.readSocks(this.socks)
    }
    const seen = Math.min(received.length, connectWord.length)
    if (received.compare(connectWord, 0, seen, 0, seen) !== 0) return this.goOnAsHttp()
    if (seen < connectWord.length) return false
    const { limits, strings, tier } = this.deps
    this.connect = new ConnectRequest(strings, limits(), tier())
    return this.readConnect(this.connect)
  }

  private goOnAsHttp(): true {
    this.finish()
    const { arriving, received } = this
    arriving.received = received.length === 0 ? null : received
    this.next(arriving)
    return true
  }

  private readConnect(connect: ConnectRequest): boolean {
    const step = connect.look(this.received)
    if (step.kind === 'more') return false
    if (step.kind === 'bad') return this.refuseWith(connect.refused(refusal(step.problem)))
    return this.resolve(step.request, step.length)
  }

  private readSocks(socks: Socks5): boolean {
    for (;;) {
      const step = socks.look(this.received)
      if (step.kind === 'more') return false
      if (step.kind === 'refuse') return this.refuseWith(step.bytes)
      if (step.kind === 'request') return this.resolve(step.request, step.length)
      this.received = this.received.subarray(step.length)
      this.deps.output.append(step.bytes)
      this.arriving.transport.write(this.deps.output)
    }
  }

  private refuseWith(bytes: Buffer): true {
    this.finish()
    const { arriving, deps } = this
    deps.tallies.tunnelRefusals++
    void new RefusalReply(deps, arriving.transport, bytes, arriving.onEnd)
    return true
  }

  private resolve(request: TunnelRequest, length: number): true {
    this.finish()
    const { arriving, deps } = this
    deps.tallies.tunnels++
    arriving.received = length < this.received.length ? this.received.subarray(length) : null
    const found = deps.find(request.host)
    // of what can be no name control would ask every registry, in vain
    if (found === undefined && mayBeAName(request.host)) this.ask(request)
    else this.lead(request, found ?? null, noSuchName)
    return true
  }

  private ask(request: TunnelRequest): void {
    const { arriving, deps } = this
    const waiting = {
      isParked: false,
      unpark: (isTimeout: boolean) => {
        deps.clock.refresh()
        if (arriving.transport.isClosed) arriving.onEnd()
        else this.lead(request, deps.find(request.host) ?? null, isTimeout ? notKnownYet : noSuchName)
      },
    }
    const caller = callerName(arriving, arriving.transport, deps.callers)
    if (!deps.parked.park(request.host, waiting, caller)) this.lead(request, null, tooManyParked)
  }

  /** From here on it is a raw connection, also where it leads nowhere: that is logged and counted as of every other. */
  private lead(request: TunnelRequest, host: { readonly name: string } | null, problem: TunnelProblem): void {
    const { arriving, deps } = this
    const { granted, kind, port } = request
    const refuse = (transport: Transport, why: TunnelProblem, onEnd: () => void): void => {
      deps.tallies.tunnelRefusals++
      void new RefusalReply(deps, transport, request.refused(refusal(why)), onEnd)
    }
    const opening = { granted, problem: host === null ? problem : undefined, refuse }
    // a caller's word, as the name in a TLS hello is
    arriving.serverName = request.host
    arriving.tunnel = { kind, target: `${request.host}:${port}`, port, opening }
    arriving.context = { ...arriving.context, protocol: 'tcp', virtualHost: host?.name ?? null, port }
    this.next(arriving)
  }
}
