/**
 * One HTTP connection through the relay: one request and its answer, judged by the workers' codec, then the end. What a
 * worker would refuse is refused here and never passed on; bytes behind the request are never passed on either, unless
 * the other side granted the upgrade that it asked for.
 *
 * The request goes to one address after another until one takes it. Once its bytes may have been read it is not sent
 * again, with two exceptions: a center says that it delivered nothing, or a center fell silent and the request may be
 * repeated.
 */
import { BodyReader } from '../../http1/body-reader.ts'
import type { Head } from '../../http1/head.ts'
import { readRequest } from '../../http1/read-request.ts'
import { BodyKind, Method } from '../../http1/types.ts'
import type { LimitsSpec } from '../../contracts/snapshot.ts'
import type { ErrorCode } from '../../contracts/errors.ts'
import { maxViaPasses } from '../../contracts/words.ts'
import { keyOf } from './relay-addresses.ts'
import type { RelayAddress } from './relay-addresses.ts'
import { dialFirst } from './dial.ts'
import { Held } from './held.ts'
import { RelayedAttempt } from './relayed-attempt.ts'
import type { AttemptOwner } from './relayed-attempt.ts'
import type { RelayedDeps } from './relayed-deps.ts'
import { namedBy } from './relayed-heads.ts'
import { tunnel } from './tunnel.ts'
import type { Wire, WireOwner } from './wire.ts'

/** Body bytes that are kept while a center may still say that it delivered nothing. */
const maxKeptBytes = 65_536

const Phase = {
  /** The request head is read. */
  head: 0,
  /** An address is dialled, or has the request; no final reply yet. */
  sent: 1,
  /** The final reply is passed on. */
  reply: 2,
  /** Answered: what still comes is thrown away until the caller closes or the time is over. */
  lingering: 3,
  over: 4,
} as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class HttpExchange implements WireOwner, AttemptOwner {
  readonly head: Head
  readonly limits: LimitsSpec
  private readonly wire: Wire
  private readonly deps: RelayedDeps
  private readonly body = new BodyReader()
  private readonly held = new Held()
  private phase: Phase = Phase.head
  private untried: readonly RelayAddress[] = []
  private dialing: { cancel(): void } | undefined
  private attempt: RelayedAttempt | undefined
  /** Where the request was sent last. */
  private tier: RelayAddress['tier'] = 'direct'
  /** What of the body was sent, while another try may need it; undefined = too much, or nobody needs it. */
  private kept: Buffer[] | undefined
  private keptBytes = 0
  private hasEnded = false
  /** The caller waits for a 100 before its body. */
  private awaitsContinue = false
  private isOverdue = false
  private whole: NodeJS.Timeout | undefined
  private idle: NodeJS.Timeout | undefined
  private leave: (() => void) | undefined

  constructor(wire: Wire, deps: RelayedDeps) {
    this.wire = wire
    this.deps = deps
    this.limits = deps.limits
    this.head = deps.heads.newHead()
    wire.owner = this
    this.armIdle(this.limits.headTimeoutMs)
    wire.resume()
  }

  // ---- the caller

  onBytes(bytes: Buffer): void {
    switch (this.phase) {
      case Phase.head:
        this.held.append(bytes)
        this.readHead()
        break
      case Phase.sent:
      case Phase.reply:
        if (this.attempt === undefined || this.held.length > 0 || this.head.upgradesToWebSocket) {
          // Nobody can take it yet; the pause leaves at most what Node had read already.
          if (this.body.isDone && !this.head.upgradesToWebSocket) break
          this.held.append(bytes)
          this.wire.pause()
        } else {
          this.passBody(bytes)
        }
        break
      default:
    }
  }

  onEnd(): void {
    this.hasEnded = true
    if (this.phase === Phase.head) this.close()
    else if (this.phase < Phase.lingering && this.held.length === 0) this.cancelIfCut()
  }

  onDrained(): void {
    this.attempt?.resume()
    if (this.phase === Phase.reply) this.armIdle(this.limits.bodyIdleTimeoutMs)
  }

  onClosed(): void {
    this.close()
  }

  private readHead(): void {
    const { held, head } = this
    const taken = readRequest(head, held.bytes, held.start, held.end, this.limits)
    if (taken === 0) return
    if (taken < 0) {
      this.refuse(taken)
      return
    }
    this.wire.pause()
    // Away from the bytes behind it, which come and go.
    head.moveTo(Buffer.from(held.bytes.subarray(head.start, head.end)), 0)
    held.consume(taken)
    this.disarmIdle()
    this.phase = Phase.sent
    this.body.begin(head.body, head.contentLength, false, true, this.limits)
    if (this.body.isDone && !head.upgradesToWebSocket) held.take()
    this.awaitsContinue = head.expectsContinue
    const { heads } = this.deps
    if (head.countVia(heads.pseudonym) >= maxViaPasses) {
      this.fail(508, 'E_ROUTE_LOOP', `the request passed this agent ${maxViaPasses} times`)
    } else if (head.maxForwards === 0 && head.methodId === Method.options) {
      this.answer(heads.emptyOk(head))
    } else {
      this.whole = setTimeout(
        () => this.fail(504, 'E_UPSTREAM_TIMEOUT', 'no reply within the time of the request'),
        this.limits.requestTimeoutMs,
      )
      this.route()
    }
  }

  // ---- the way

  private route(): void {
    const { addresses, targets, listener, now } = this.deps
    const named = listener.kind === 'inbound' ? undefined : namedBy(this.head)
    const list = addresses.of(targets, listener, named, now())
    if (list.length > 0) this.dial(list)
    else if (named?.fallback !== undefined)
      this.fail(
        403,
        'E_ROUTE_FALLBACK_REFUSED',
        'x-mesh-fallback is outside the networks that are allowed for it, or a port of this agent',
      )
    else if (listener.kind === 'shared-http' && named?.service === undefined && named?.host === undefined)
      this.fail(400, 'E_ROUTE_NO_NAME', 'neither x-mesh-service nor Host names a service')
    else this.unreachable()
  }

  private unreachable(): void {
    // The calling agent takes this for the refused connection that it is, and goes elsewhere.
    if (this.deps.listener.kind === 'inbound') this.fail(503, 'E_CONNECT_FAILED', 'the application takes no connection')
    else this.fail(503, 'E_CENTER_UNREACHABLE', 'no worker, no center and no known endpoint answers')
  }

  private dial(list: readonly RelayAddress[]): void {
    const dialing = dialFirst(list, this.deps, (dialed) => {
      this.dialing = undefined
      this.untried = dialed?.untried ?? []
      if (dialed === undefined) this.unreachable()
      else this.send(dialed.wire, dialed.target)
    })
    if (this.phase === Phase.sent && this.attempt === undefined) this.dialing = dialing
  }

  private send(upstream: Wire, target: RelayAddress): void {
    const { deps, head } = this
    deps.onRouted(target.tier)
    this.tier = target.tier
    const isCenter = target.tier === 'center'
    const earlier = this.kept ?? []
    const attempt = new RelayedAttempt(upstream, target, this, deps.heads)
    this.attempt = attempt
    const lines = deps.heads.request(head, target.tier)
    attempt.write(isCenter ? Buffer.concat([this.introduction(), lines]) : lines)
    for (const piece of earlier) attempt.write(piece)
    this.kept = isCenter ? earlier : undefined
    if (isCenter) this.waitForLife(target)
    attempt.start()
    this.passHeld()
  }

  private introduction(): Buffer {
    const { introduction, listener, listenerName } = this.deps
    const about = { service: listener.service ?? '', listener: listenerName, asksAcknowledgement: false }
    return introduction.header(this.wire.peer, about)
  }

  /**
   * A center that does not even answer the watchdog will not answer this either. Repeated only where that can do no
   * harm.
   */
  private waitForLife(target: RelayAddress): void {
    this.leave = this.deps.waiting.enter(keyOf(target), () => {
      this.leave = undefined
      if (isSafe(this.head) && this.untried.length > 0) this.tryNext()
      else this.fail(504, 'E_CENTER_UNREACHABLE', 'the center took the request and fell silent')
    })
  }

  private tryNext(): void {
    this.dropAttempt()
    this.dial(this.untried)
  }

  // ---- the body

  private passHeld(): void {
    const { held } = this
    if (held.length > 0 && !this.body.isDone) this.passBody(held.take())
    if (this.phase >= Phase.lingering) return
    if (this.hasEnded) this.cancelIfCut()
    else if (held.length === 0 && this.attempt?.isSlow !== true) this.readOn()
  }

  private passBody(bytes: Buffer): void {
    const { body } = this
    let at = 0
    while (at < bytes.length && !body.isDone) {
      const taken = body.feed(bytes, at, bytes.length)
      if (taken < 0) {
        this.refuse(taken)
        return
      }
      for (let run = 0; run < body.runCount; run++)
        this.pass(Buffer.from(bytes.subarray(body.runs[run * 2], body.runs[run * 2 + 1])))
      if (body.isDone && body.tail !== null) this.pass(Buffer.from(body.tail))
      at += taken
    }
    this.awaitsContinue = false
    if (body.isDone) {
      if (this.phase === Phase.sent) this.disarmIdle()
    } else if (this.attempt?.isSlow === true) {
      this.wire.pause()
      this.disarmIdle()
    } else {
      this.armIdle(this.limits.bodyIdleTimeoutMs)
    }
  }

  private pass(piece: Buffer): void {
    if (this.kept !== undefined) {
      this.keptBytes += piece.length
      if (this.keptBytes > maxKeptBytes) this.kept = undefined
      else this.kept.push(piece)
    }
    this.attempt?.write(piece)
  }

  private readOn(): void {
    if (!this.body.isDone && !this.awaitsContinue) this.armIdle(this.limits.bodyIdleTimeoutMs)
    this.wire.resume()
  }

  /**
   * R28: a caller that stopped in the middle is gone; one that said all it had to say is what its listener says it is.
   */
  private cancelIfCut(): void {
    if (!this.body.isDone || this.deps.listener.halfClosed === 'gone') this.close()
    // Or it has given up: nobody waits for long.
    else if (this.phase === Phase.sent) this.armIdle(this.limits.halfClosedTimeoutMs)
  }

  // ---- what the attempt says

  requestDrained(): void {
    this.passHeld()
  }

  interim(lines: Buffer, status: number): void {
    this.answers()
    if (status === 100 && this.awaitsContinue) {
      this.awaitsContinue = false
      this.armIdle(this.limits.bodyIdleTimeoutMs)
    }
    if (this.head.minor > 0) this.write(lines)
  }

  answers(): void {
    this.leave?.()
    this.leave = undefined
  }

  goesElsewhere(): boolean {
    if (this.kept === undefined || this.untried.length === 0) return false
    this.deps.onPassedOver()
    this.tryNext()
    return true
  }

  begin(lines: Buffer): void {
    this.phase = Phase.reply
    this.kept = undefined
    clearTimeout(this.whole)
    this.armIdle(this.limits.bodyIdleTimeoutMs)
    this.write(lines)
  }

  content(bytes: Buffer): void {
    this.armIdle(this.limits.bodyIdleTimeoutMs)
    this.write(bytes)
  }

  done(): void {
    this.linger()
  }

  switched(lines: Buffer, rest: Buffer): void {
    const { attempt, held, wire } = this
    this.phase = Phase.over
    this.clearTimers()
    this.attempt = undefined
    wire.write(lines)
    if (rest.length > 0) wire.write(rest)
    const upstream = attempt!.give()
    if (held.length > 0) upstream.write(held.take())
    tunnel(wire, upstream)
    if (this.hasEnded) upstream.end()
  }

  /** A center that dies takes no request with it that may be repeated. */
  lost(code: ErrorCode, text: string): void {
    const isDead = code === 'E_UPSTREAM_RESET' && this.tier === 'center'
    if (isDead && isSafe(this.head) && this.untried.length > 0) {
      this.deps.onPassedOver()
      this.tryNext()
    } else this.answer(this.deps.heads.answer(this.head, this.tier, 502, code, text))
  }

  broken(needsReset: boolean): void {
    if (needsReset) this.wire.reset()
    this.close()
  }

  // ---- the end

  private write(bytes: Buffer): void {
    if (this.wire.write(bytes)) return
    this.attempt?.pause()
  }

  private refuse(fault: number): void {
    this.deps.onRefused()
    if (this.phase === Phase.reply) this.broken(false)
    else this.answer(this.deps.heads.refusal(this.head, this.tier, fault))
  }

  private fail(status: number, code: ErrorCode, text: string): void {
    this.deps.onRouted('failed')
    this.answer(this.deps.heads.answer(this.head, this.tier, status, code, text))
  }

  private answer(bytes: Buffer): void {
    this.wire.write(bytes)
    this.linger()
  }

  private idleOver(): void {
    if (this.phase === Phase.head) {
      if (this.held.length === 0) this.close()
      else this.fail(408, 'E_DOWNSTREAM_TIMEOUT', 'the request head was not complete in time')
    } else if (this.phase === Phase.sent && this.hasEnded) {
      this.close()
    } else if (this.phase === Phase.sent) {
      this.fail(408, 'E_DOWNSTREAM_TIMEOUT', 'the request body stopped coming')
    } else if (this.phase === Phase.reply) {
      this.broken(true)
    } else if (this.wire.pendingBytes > 0 && !this.isOverdue) {
      // Not taken yet: the answer itself may take as long as any body.
      this.isOverdue = true
      this.armIdle(this.limits.bodyIdleTimeoutMs)
    } else {
      this.close()
    }
  }

  /** FIN behind the answer; no reset that unread bytes would cause may destroy it (R25). */
  private linger(): void {
    this.dropAttempt()
    this.clearTimers()
    this.held.take()
    this.phase = Phase.lingering
    this.armIdle(this.limits.drainTimeoutMs)
    this.wire.end()
    this.wire.resume()
  }

  private close(): void {
    this.phase = Phase.over
    this.dropAttempt()
    this.clearTimers()
    this.held.take()
    this.wire.close()
  }

  private dropAttempt(): void {
    this.answers()
    this.dialing?.cancel()
    this.dialing = undefined
    this.attempt?.abandon()
    this.attempt = undefined
  }

  private armIdle(ms: number): void {
    clearTimeout(this.idle)
    this.idle = setTimeout(() => this.idleOver(), ms)
  }

  private disarmIdle(): void {
    clearTimeout(this.idle)
    this.idle = undefined
  }

  private clearTimers(): void {
    clearTimeout(this.whole)
    this.disarmIdle()
  }
}

/** A safe method (RFC 9110 section 9.2.1) without content. */
function isSafe(head: Head): boolean {
  const { methodId } = head
  return (
    head.body === BodyKind.none &&
    !head.upgradesToWebSocket &&
    (methodId === Method.get || methodId === Method.head || methodId === Method.options)
  )
}
