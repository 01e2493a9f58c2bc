/**
 * One try of a request on one route. What became of it is told once, before anything of the reply; then the reply is.
 */
import { request } from 'node:http'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type { Clock } from '../../contracts/clock.ts'
import { headers as meshHeaders, nothingDelivered } from '../../contracts/words.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { Route } from '../tiers/routes.ts'
import type { CallListener } from './handlers.ts'
import type { Outgoing, OutgoingBody } from './outgoing.ts'

export interface AttemptDeps {
  readonly clock: Clock
  readonly agent: (route: Route) => Agent
}

/** `unsent`: nobody has read a byte of it. `broken`: somebody may have. `reply`: it is with the caller now. */
export type AttemptEnd =
  | { readonly kind: 'unsent' | 'broken'; readonly error: MeshError; readonly isRefused: boolean }
  | { readonly kind: 'reply' }

/** For a connection, ms. */
const connectTimeoutMs = 1000
/** Of one connection only. */
const hopFields = new Set(['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection'])

export class Attempt {
  private readonly deps: AttemptDeps
  private readonly route: Route
  private readonly outgoing: Outgoing
  private readonly listener: CallListener
  private request: ClientRequest | undefined
  private response: IncomingMessage | undefined
  private settle: ((end: AttemptEnd) => void) | undefined
  private cancelTimer: (() => void) | undefined
  private leaveProxy: (() => void) | undefined
  private isOver = false
  private onOver: (isWhole: boolean) => void = () => undefined
  /** A byte of a body that cannot be sent again was taken. */
  hasTakenStream = false
  /** The reply is with the caller. */
  hasReplied = false

  constructor(deps: AttemptDeps, route: Route, outgoing: Outgoing, listener: CallListener) {
    this.deps = deps
    this.route = route
    this.outgoing = outgoing
    this.listener = listener
  }

  /** onOver: it has ended, with a whole reply or in any other way. */
  run(body: OutgoingBody, onOver: (isWhole: boolean) => void): Promise<AttemptEnd> {
    this.onOver = onOver
    return new Promise((resolve) => {
      this.settle = resolve
      const { route, outgoing } = this
      let isConnected = false
      try {
        this.request = request({
          agent: this.deps.agent(route),
          host: route.address.host,
          port: route.address.port,
          method: outgoing.method,
          path: outgoing.path,
          headers: this.fields(body),
          setHost: false,
        })
      } catch (cause) {
        this.fail('unsent', 'E_HTTP_BAD_REQUEST', (cause as Error).message)
        return
      }
      const { request: sent } = this
      sent.on('socket', (socket) => {
        const stands = (): void => {
          isConnected = true
          this.awaitHead()
          // not before: where nobody takes the connection, the body is still whole for the next route
          if (body.kind === 'stream') void this.sendStream(body.chunks, sent)
        }
        // a connection that rested is one already
        if (!socket.connecting && !socket.destroyed) stands()
        else {
          this.time(connectTimeoutMs, () => this.fail('unsent', 'E_CONNECT_TIMEOUT', 'no connection in time', true))
          socket.once('connect', stands)
        }
      })
      sent.on('error', (cause: NodeJS.ErrnoException) => {
        if (isConnected || sent.reusedSocket) this.fail('broken', 'E_UPSTREAM_RESET', cause.message)
        else this.fail('unsent', 'E_CONNECT_REFUSED', cause.message, true)
      })
      sent.on('upgrade', (_response, socket) => {
        socket.destroy()
        this.fail('broken', 'E_UPSTREAM_PROTOCOL', 'it changed the protocol, which nobody asked for')
      })
      sent.on('response', (response) => this.begin(response))
      // a silent agent or center is left: what may be repeated goes on elsewhere
      this.leaveProxy = route.proxy?.whenDown(() =>
        this.fail(isConnected ? 'broken' : 'unsent', 'E_UPSTREAM_RESET', 'it gives no sign of life'),
      )
      if (body.kind === 'whole') sent.end(body.bytes)
    })
  }

  /** The caller gave up, or the call ends otherwise; nothing is told any more. */
  abandon(): void {
    this.finish()
  }

  resume(): void {
    this.response?.resume()
  }

  private fields(body: OutgoingBody): string[] {
    const { fields } = this.outgoing
    const isSized = fields.some((text, at) => at % 2 === 0 && text.toLowerCase() === 'content-length')
    if (isSized || body.kind === 'stream') return [...fields]
    if (body.bytes.length === 0 && !['POST', 'PUT', 'PATCH'].includes(this.outgoing.method)) return [...fields]
    return [...fields, 'content-length', String(body.bytes.length)]
  }

  private async sendStream(chunks: AsyncIterable<unknown>, sent: ClientRequest): Promise<void> {
    if (this.isOver) return
    try {
      for await (const chunk of chunks) {
        this.hasTakenStream = true
        if (this.isOver) return
        if (!sent.write(chunk)) await drained(sent)
      }
      sent.end()
    } catch (cause) {
      this.hasTakenStream = true
      this.fail('broken', 'E_DOWNSTREAM_RESET', `its body broke off: ${(cause as Error).message}`)
    }
  }

  private awaitHead(): void {
    const { headersTimeoutMs } = this.outgoing
    this.time(headersTimeoutMs, () =>
      this.fail('broken', 'E_UPSTREAM_TIMEOUT', `no reply after ${headersTimeoutMs} ms`),
    )
  }

  private begin(response: IncomingMessage): void {
    if (this.settle === undefined) return
    const { route, listener } = this
    if (route.tier === 'center' && response.headers[meshHeaders.tier] === nothingDelivered) {
      this.fail('unsent', 'E_CENTER_NOT_READY', String(response.headers[meshHeaders.error] ?? 'it knows nobody yet'))
      return
    }
    this.response = response
    this.hasReplied = true
    this.settle({ kind: 'reply' })
    this.settle = undefined
    response.on('data', (chunk: Buffer) => {
      this.awaitContent()
      if (this.told(() => listener.content(chunk)) === false) response.pause()
    })
    response.on('end', () => {
      if (this.isOver || !response.complete) return
      this.finish(true)
      this.told(() => listener.end(response.rawTrailers))
    })
    response.on('error', () => this.truncated())
    response.on('close', () => this.truncated())
    this.awaitContent()
    const isTaking = this.told(() =>
      listener.head(response.statusCode!, this.replyFields(response), response.statusMessage ?? ''),
    )
    if (isTaking === false) response.pause()
  }

  private replyFields({ rawHeaders }: IncomingMessage): string[] {
    const fields: string[] = []
    for (let at = 0; at + 1 < rawHeaders.length; at += 2)
      if (!hopFields.has(rawHeaders[at]!.toLowerCase())) fields.push(rawHeaders[at]!, rawHeaders[at + 1]!)
    // an endpoint says nothing of the mesh, or nothing that is to be believed
    if (this.route.proxy !== undefined) return fields
    const own = fields.filter((_, at) => fields[at - (at % 2)]!.toLowerCase() !== meshHeaders.tier)
    return [...own, meshHeaders.tier, 'direct']
  }

  private truncated(): void {
    if (this.isOver) return
    this.finish()
    const text = `${this.where()}: the reply ended before its end`
    this.told(() => this.listener.fail(new MeshError('E_UPSTREAM_TRUNCATED', text)))
  }

  private awaitContent(): void {
    const { bodyTimeoutMs } = this.outgoing
    this.time(bodyTimeoutMs, () => this.truncated())
  }

  /** What a handler throws ends its call, and nothing else. */
  private told<T>(tell: () => T): T | undefined {
    try {
      return tell()
    } catch (cause) {
      if (!this.isOver) {
        this.finish()
        this.listener.fail(cause as Error)
      }
      return undefined
    }
  }

  private fail(
    kind: 'unsent' | 'broken',
    code: ConstructorParameters<typeof MeshError>[0],
    why: string,
    isRefused = false,
  ): void {
    if (this.isOver) return
    if (this.settle === undefined) {
      this.truncated()
      return
    }
    const { settle } = this
    this.settle = undefined
    this.finish()
    settle({ kind, error: new MeshError(code, `${this.where()}: ${why}`), isRefused })
  }

  private where(): string {
    const { tier, address } = this.route
    return `${this.outgoing.service} by ${tier} ${address.host}:${address.port}`
  }

  private time(ms: number, call: () => void): void {
    this.cancelTimer?.()
    this.cancelTimer = ms > 0 && Number.isFinite(ms) ? this.deps.clock.after(ms, call) : undefined
  }

  private finish(isWhole = false): void {
    if (this.isOver) return
    this.isOver = true
    this.cancelTimer?.()
    this.leaveProxy?.()
    // a request whose end is never sent would keep its connection from everybody
    if (this.response?.complete !== true || this.request?.writableEnded !== true) {
      this.request?.on('error', () => undefined)
      this.request?.destroy()
    }
    this.onOver(isWhole)
  }
}

function drained(sent: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      sent.off('drain', done).off('close', done)
      resolve()
    }
    sent.on('drain', done).on('close', done)
  })
}
