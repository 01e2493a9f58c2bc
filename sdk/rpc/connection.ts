/**
 * One connection of a private RPC that many calls share: requests under ids of its own, replies in any order, the
 * protocol's heartbeat while it is quiet. Frames pass as they are; only the id is changed, and changed back.
 */
import net from 'node:net'
import { acknowledgement } from '../../contracts/words.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { ErrorCode } from '../../contracts/errors.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { FrameKind, RpcFrame, faultText } from '../../rpc/frame.ts'
import { FrameSplitter } from '../../rpc/frame-splitter.ts'
import { withId } from '../../rpc/with-id.ts'
import type { HeldBudget } from '../../rpc/held-budget.ts'
import type { Route } from '../tiers/routes.ts'

export interface ConnectionDeps {
  readonly clock: Clock
  readonly budget: HeldBudget
  /** For a center, which says one byte when it goes on. */
  readonly introduction: (service: string) => Buffer
  readonly onClosed: (connection: RpcConnection) => void
}

/** What became of a request: `unsent` = nobody has read a byte of it. */
export type Sent =
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  | { readonly kind: 'unsent' | 'broken'; readonly error: MeshError; readonly isRefused: boolean }

interface Pending {
  readonly idHigh: number
  readonly idLow: number
  readonly settle: (sent: Sent) => void
}

export const maxFrameBytes = 8 * 1024 * 1024
/** Requests that wait for their replies. */
const maxPending = 1000
/** With fewer ids each comes again soon. */
const soonAgainId = 2 ** 24
/** Bytes that the far side has not taken yet; above it the connection takes no more. */
const maxUnsentBytes = 16 * 1024 * 1024
const connectTimeoutMs = 1000
/** It is looked at so often. Without a word since then it is asked; without one at the next look it is dead, ms. */
const quietMs = 5000
/** A frame that does not end, ms. */
const wholeFrameMs = 120_000
/** A connection that nobody uses, ms. */
const idleMs = 60_000

export class RpcConnection {
  readonly route: Route
  private readonly codec: RpcCodec
  private readonly deps: ConnectionDeps
  private readonly socket: net.Socket
  private readonly pending = new Map<number, Pending>()
  /** Written once the connection stands. */
  private readonly waiting: { readonly bytes: Buffer; readonly id: number; readonly settle: (sent: Sent) => void }[] =
    []
  private readonly frame = new RpcFrame()
  private splitter: FrameSplitter
  private nextId = 1
  private isOpen = false
  private isClosed = false
  private mayTakeMore = true
  private heardAt: number
  /** When the frame began that is not whole yet. */
  private partialSince = Infinity
  /** By a heartbeat, and nothing came since. */
  private isAsked = false
  private usedAt: number
  private cancel: (() => void) | undefined
  private readonly leaveProxy: (() => void) | undefined
  /** The highest id of the protocol. */
  private readonly mostId: number

  constructor(codec: RpcCodec, route: Route, deps: ConnectionDeps) {
    this.codec = codec
    this.mostId = codec.idBits >= 32 ? 0xffff_ffff : 2 ** codec.idBits - 1
    this.route = route
    this.deps = deps
    this.heardAt = deps.clock.monotonic()
    this.usedAt = this.heardAt
    const { host, port } = route.address
    this.splitter = new FrameSplitter(
      codec,
      {
        onFrame: (buf, at, end) => this.onFrame(buf, at, end),
        onFault: (fault) => this.end('E_UPSTREAM_PROTOCOL', faultText(fault)),
      },
      deps.budget,
      maxFrameBytes,
      () => `${host} ${port}`,
    )
    this.socket = net.connect({ host, port, noDelay: true })
    // a call holds the process, a connection that rests does not
    this.socket.unref()
    const asksFirst = route.tier === 'center'
    this.socket.on('connect', () => {
      try {
        if (asksFirst) this.socket.write(deps.introduction(route.service))
        else this.open()
      } catch (error) {
        this.end('E_CENTER_UNREACHABLE', (error as Error).message)
      }
    })
    this.socket.on('data', (chunk: Buffer) => this.take(chunk))
    this.socket.on('error', (cause) => this.end(this.isOpen ? 'E_UPSTREAM_RESET' : 'E_CONNECT_REFUSED', cause.message))
    this.socket.on('close', () => this.end(this.isOpen ? 'E_UPSTREAM_RESET' : 'E_CONNECT_REFUSED', 'it was closed'))
    this.cancel = deps.clock.after(asksFirst ? connectTimeoutMs * 2 : connectTimeoutMs, () =>
      this.end('E_CONNECT_TIMEOUT', 'no connection in time'),
    )
    this.leaveProxy = route.proxy?.whenDown(() => this.end('E_UPSTREAM_RESET', 'it gives no sign of life'))
  }

  /** Whether a call may begin on it. */
  get isUsable(): boolean {
    return (
      !this.isClosed &&
      this.mayTakeMore &&
      // an id is left for a heartbeat
      this.pending.size + this.waiting.length < Math.min(maxPending, this.mostId - 1) &&
      this.socket.writableLength < maxUnsentBytes
    )
  }

  /** `request` is a whole frame that is the connection's own from now on, and `frame` describes it. */
  send(request: Buffer, frame: RpcFrame): { readonly sent: Promise<Sent>; abandon(): void } {
    this.usedAt = this.deps.clock.monotonic()
    const id = this.takeId()
    const { idHigh, idLow } = frame
    const bytes = withId(this.codec, request, frame, 0, id)
    const sent = new Promise<Sent>((settle) => {
      if (this.isClosed) {
        settle(this.failed('unsent', 'E_CONNECT_FAILED', 'it was closed', false))
        return
      }
      const isOneWay = frame.kind === FrameKind.oneWay
      if (!isOneWay) this.pending.set(id, { idHigh, idLow, settle })
      if (this.isOpen) {
        this.socket.write(bytes)
        if (isOneWay) settle({ kind: 'reply', bytes: Buffer.alloc(0) })
      } else this.waiting.push({ bytes, id: isOneWay ? 0 : id, settle })
    })
    return { sent, abandon: () => this.abandon(id) }
  }

  /** Nobody waits for the reply any more. What was not written yet never is. */
  private abandon(id: number): void {
    if (!this.pending.delete(id)) return
    const at = this.waiting.findIndex((one) => one.id === id)
    if (at >= 0) this.waiting.splice(at, 1)
    else if (this.mostId < soonAgainId) {
      // its late reply would be taken for that of the next call with this id
      this.mayTakeMore = false
      this.endWhenAnswered()
    }
  }

  close(): void {
    this.end('E_UPSTREAM_RESET', 'the mesh of this application was closed')
  }

  private takeId(): number {
    do {
      this.nextId = this.nextId >= this.mostId ? 1 : this.nextId + 1
    } while (this.pending.has(this.nextId))
    return this.nextId
  }

  private take(chunk: Buffer): void {
    this.heardAt = this.deps.clock.monotonic()
    this.isAsked = false
    if (this.isOpen) {
      this.feed(chunk)
      return
    }
    if (chunk[0] !== acknowledgement) {
      this.end('E_CENTER_NOT_READY', 'the center does not go on')
      return
    }
    this.open()
    if (chunk.length > 1) this.feed(chunk.subarray(1))
  }

  private feed(bytes: Buffer): void {
    this.splitter.feed(bytes, bytes.length)
    if (this.splitter.waiting === 0) this.partialSince = Infinity
    else if (this.partialSince === Infinity) this.partialSince = this.heardAt
  }

  private open(): void {
    this.cancel?.()
    this.isOpen = true
    this.heardAt = this.deps.clock.monotonic()
    for (const { bytes, id, settle } of this.waiting.splice(0)) {
      this.socket.write(bytes)
      if (id === 0) settle({ kind: 'reply', bytes: Buffer.alloc(0) })
    }
    this.watch()
  }

  private watch(): void {
    this.cancel = this.deps.clock.after(quietMs, () => {
      const now = this.deps.clock.monotonic()
      if (now - this.partialSince >= wholeFrameMs) {
        this.end('E_UPSTREAM_RESET', 'a frame stopped coming')
        return
      }
      // what came while this process did something else is read before it is judged
      if (this.isAsked) setImmediate(this.judge)
      else if (this.pending.size === 0 && now - this.usedAt >= idleMs) {
        this.end('E_UPSTREAM_RESET', 'nobody used it')
        return
      } else if (now - this.heardAt >= quietMs) {
        const heartbeat = this.codec.heartbeat(this.takeId())
        this.isAsked = heartbeat !== null
        if (heartbeat !== null) this.socket.write(heartbeat)
      }
      this.watch()
    })
  }

  private readonly judge = (): void => {
    if (this.isAsked) this.end('E_UPSTREAM_RESET', 'it does not answer heartbeats')
  }

  private onFrame(buf: Buffer, at: number, end: number): boolean {
    const { codec, frame } = this
    this.partialSince = Infinity
    const fault = codec.read(buf, at, end, frame)
    if (fault < 0) {
      this.end('E_UPSTREAM_PROTOCOL', faultText(fault))
      return false
    }
    if (frame.kind === FrameKind.heartbeat) {
      this.socket.write(codec.heartbeatReply(buf, at, end, frame))
      if (this.socket.writableLength > maxUnsentBytes) this.end('E_UPSTREAM_RESET', 'it does not read')
    } else if (frame.kind === FrameKind.goAway) {
      this.mayTakeMore = false
      this.endWhenAnswered()
    } else if (frame.kind === FrameKind.reply && frame.idHigh === 0) {
      const pending = this.pending.get(frame.idLow)
      if (pending === undefined) return true
      this.pending.delete(frame.idLow)
      const bytes = withId(codec, Buffer.from(buf.subarray(at, end)), frame, pending.idHigh, pending.idLow)
      pending.settle({ kind: 'reply', bytes })
      this.endWhenAnswered()
    }
    return !this.isClosed
  }

  private endWhenAnswered(): void {
    if (!this.mayTakeMore && this.pending.size === 0) this.end('E_UPSTREAM_RESET', 'it takes no more')
  }

  private end(code: ErrorCode, why: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.cancel?.()
    this.leaveProxy?.()
    this.splitter.close()
    this.socket.destroy()
    const isRefused = code === 'E_CONNECT_REFUSED' || code === 'E_CONNECT_TIMEOUT'
    const unsent = new Set(this.waiting.map(({ id }) => id))
    for (const { settle } of this.waiting.splice(0)) settle(this.failed('unsent', code, why, isRefused))
    for (const [id, { settle }] of this.pending)
      if (!unsent.has(id)) settle(this.failed('broken', code, why, isRefused))
    this.pending.clear()
    this.deps.onClosed(this)
  }

  private failed(kind: 'unsent' | 'broken', code: ErrorCode, why: string, isRefused: boolean): Sent {
    const { tier, address } = this.route
    return { kind, error: new MeshError(code, `${tier} ${address.host}:${address.port}: ${why}`), isRefused }
  }
}
