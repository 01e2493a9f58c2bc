/**
 * Calls of a private RPC. The application writes and reads whole frames by its own framework; this client chooses where
 * a frame goes, over a few connections that all calls share. What nobody has read goes on to the next route; what may
 * have been read only where the application says that the call is idempotent.
 */
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { faultText, FrameKind, RpcFrame } from '../../rpc/frame.ts'
import { HeldBudget } from '../../rpc/held-budget.ts'
import type { CallBook } from '../call-book.ts'
import type { Route } from '../tiers/routes.ts'
import type { RpcCallOptions, RpcClient } from '../types.ts'
import { maxFrameBytes, RpcConnection } from './connection.ts'

export interface SharedClientDeps {
  readonly clock: Clock
  readonly book: CallBook
  readonly routes: (service: string, protocol: string) => AsyncIterable<Route>
  readonly refused: (route: Route) => void
  readonly introduction: (service: string) => Buffer
}

const defaultTimeoutMs = 30_000
/** Connections of one protocol: a few for each address. */
const maxConnections = 1024
/** Frames of all connections that are not whole yet, bytes. */
const maxHeldBytes = 64 * 1024 * 1024

export class SharedClient implements RpcClient {
  readonly codec: RpcCodec
  private readonly deps: SharedClientDeps
  private readonly budget = new HeldBudget(maxHeldBytes)
  private readonly connections = new Map<string, RpcConnection[]>()
  private count = 0
  private isClosed = false

  constructor(codec: RpcCodec, deps: SharedClientDeps) {
    this.codec = codec
    this.deps = deps
  }

  /**
   * Sends the request `frame`, whole and in the codec's protocol, under an id of its own, and answers the reply frame
   * under the caller's id; an empty buffer for a request that has no reply. Error replies, also those of the mesh, are
   * replies. Rejects with a MeshError: `retry` says whether anything may have been read.
   */
  async call(service: string, frame: Buffer, options: RpcCallOptions = {}): Promise<Buffer> {
    const { book, clock } = this.deps
    const about = this.read(frame)
    if (this.isClosed) throw new MeshError('E_OVERLOAD', 'the mesh of this application is closed')
    book.enter(service)
    const timeoutMs = options.timeoutMs ?? (about.timeoutMs > 0 ? about.timeoutMs : defaultTimeoutMs)
    let cancel = (): void => undefined
    const abort = new AbortController()
    const timeout = new Promise<never>((_resolve, reject) => {
      cancel = clock.after(timeoutMs, () =>
        reject(new MeshError('E_UPSTREAM_TIMEOUT', `${service}: no reply after ${timeoutMs} ms`)),
      )
    })
    try {
      const travelled = this.travel(service, frame, about, options.idempotent === true, abort.signal)
      return await Promise.race([travelled, timeout])
    } catch (error) {
      book.failed++
      throw error
    } finally {
      cancel()
      abort.abort()
      book.leave()
    }
  }

  close(): void {
    this.isClosed = true
    for (const list of this.connections.values()) for (const connection of list) connection.close()
  }

  private read(bytes: Buffer): RpcFrame {
    const frame = new RpcFrame()
    const length = this.codec.measure(bytes, 0, bytes.length, maxFrameBytes)
    const isWhole = length > 0 && length === bytes.length
    const fault = length < 0 ? length : isWhole ? this.codec.read(bytes, 0, bytes.length, frame) : -100
    if (fault < 0)
      throw new MeshError(
        'E_HTTP_BAD_REQUEST',
        `${this.codec.name}: ${fault === -100 ? `${bytes.length} bytes are not one whole frame` : faultText(fault)}`,
      )
    if (frame.kind !== FrameKind.request && frame.kind !== FrameKind.oneWay)
      throw new MeshError('E_HTTP_BAD_REQUEST', `${this.codec.name}: the frame is no request`)
    return frame
  }

  private async travel(
    service: string,
    frame: Buffer,
    about: RpcFrame,
    isIdempotent: boolean,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { book, refused, routes } = this.deps
    let last: MeshError | undefined
    for await (const route of routes(service, this.codec.name)) {
      if (signal.aborted) break
      const connection = this.connection(route)
      if (connection === undefined) {
        last = new MeshError('E_BALANCE_OVERFLOW', `${service}: every connection has as many calls as it takes`)
        continue
      }
      if (last !== undefined) book.repeated++
      const { sent, abandon } = connection.send(Buffer.from(frame), about)
      signal.addEventListener('abort', abandon, { once: true })
      const end = await sent
      signal.removeEventListener('abort', abandon)
      if (end.kind === 'reply') {
        book.served(route.tier)
        return end.bytes
      }
      last = new MeshError(end.error.code, `${service} by ${end.error.message}`)
      if (end.isRefused) refused(route)
      if (end.kind === 'broken' && !isIdempotent) break
    }
    throw (
      last ?? new MeshError('E_BALANCE_NO_ENDPOINT', `${service}: neither an agent, a center nor an endpoint is known`)
    )
  }

  /** The present one that may take a call, or a new one; undefined at the bound. */
  private connection(route: Route): RpcConnection | undefined {
    const { clock, introduction } = this.deps
    const key = `${route.address.host} ${route.address.port} ${route.service}`
    const list = this.connections.get(key) ?? []
    const usable = list.find((one) => one.isUsable)
    if (usable !== undefined) return usable
    if (this.count >= maxConnections) return undefined
    const made = new RpcConnection(this.codec, route, {
      clock,
      budget: this.budget,
      introduction,
      onClosed: (closed) => this.forget(key, closed),
    })
    this.count++
    this.connections.set(key, [...list, made])
    return made
  }

  private forget(key: string, closed: RpcConnection): void {
    const left = (this.connections.get(key) ?? []).filter((one) => one !== closed)
    this.count--
    if (left.length === 0) this.connections.delete(key)
    else this.connections.set(key, left)
  }
}
