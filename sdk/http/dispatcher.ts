/**
 * A dispatcher of undici for calls to services: `fetch(url, { dispatcher })`, `request(url, { dispatcher })`. It goes
 * down the routes of the service until one takes the call. What nobody has read goes on whatever its method; what may
 * have been read goes on only when it is idempotent and its body is still here; everything else fails with its reason.
 */
import { EventEmitter } from 'node:events'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { CallBook } from '../call-book.ts'
import type { Route } from '../tiers/routes.ts'
import type { MeshDispatcher } from '../types.ts'
import { Attempt } from './attempt.ts'
import { listenerOf } from './handlers.ts'
import type { CallListener } from './handlers.ts'
import { gathered, readOutgoing } from './outgoing.ts'
import type { DispatchOptions, Outgoing, OutgoingBody } from './outgoing.ts'
import type { Pools } from './pools.ts'

export interface DispatcherDeps {
  readonly clock: Clock
  readonly pools: Pools
  readonly book: CallBook
  readonly routes: (service: string) => AsyncIterable<Route>
  readonly refused: (route: Route) => void
}

export class RouteDispatcher extends EventEmitter implements MeshDispatcher {
  private readonly deps: DispatcherDeps
  closed = false
  destroyed = false

  constructor(deps: DispatcherDeps) {
    super()
    this.deps = deps
  }

  dispatch(options: object, handler: object): boolean {
    const listener = listenerOf(handler)
    let outgoing: Outgoing
    try {
      if (this.closed) throw new MeshError('E_OVERLOAD', 'the mesh of this application is closed')
      outgoing = readOutgoing(options as DispatchOptions)
      this.deps.book.enter(outgoing.service)
    } catch (error) {
      queueMicrotask(() => listener.fail(error as Error))
      return true
    }
    void new Call(this.deps, outgoing, listener).run()
    return true
  }

  /** Nothing new is taken; what is under way ends. */
  close(callback?: () => void): Promise<void> {
    this.closed = true
    callback?.()
    return Promise.resolve()
  }

  /** The mesh it came from ends its connections: `mesh.close()`. */
  destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> {
    this.closed = true
    this.destroyed = true
    if (typeof error === 'function') error()
    callback?.()
    return Promise.resolve()
  }
}

class Call {
  private readonly deps: DispatcherDeps
  private readonly outgoing: Outgoing
  private readonly listener: CallListener
  private attempt: Attempt | undefined
  private body: OutgoingBody | undefined
  private isOver = false

  constructor(deps: DispatcherDeps, outgoing: Outgoing, listener: CallListener) {
    this.deps = deps
    this.outgoing = outgoing
    this.listener = listener
  }

  async run(): Promise<void> {
    try {
      this.listener.begin(
        (reason) => {
          this.fail(reason)
          this.attempt?.abandon()
        },
        () => this.attempt?.resume(),
      )
      const body = await gathered(this.outgoing.body)
      this.body = body
      if (this.isOver) this.discard()
      else await this.travel(body)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  private async travel(body: OutgoingBody): Promise<void> {
    const { book, refused, routes } = this.deps
    const { service, isIdempotent } = this.outgoing
    let last: MeshError | undefined
    for await (const route of routes(service)) {
      if (this.isOver) return
      const { clock, pools } = this.deps
      const attempt = new Attempt({ clock, agent: (one) => pools.of(one) }, route, this.outgoing, this.listener)
      this.attempt = attempt
      if (last !== undefined) book.repeated++
      const end = await attempt.run(body, (isWhole) => {
        if (this.isOver || !attempt.hasReplied) return
        if (!isWhole) book.failed++
        this.over()
      })
      if (end.kind === 'reply') {
        book.served(route.tier)
        return
      }
      if (this.isOver) return
      last = end.error
      if (end.isRefused) refused(route)
      const isHere = body.kind === 'whole' || !attempt.hasTakenStream
      // its caller's time is over: on each further route it would begin anew
      const isLate = end.error.code === 'E_UPSTREAM_TIMEOUT'
      if (!isHere || isLate || (end.kind === 'broken' && !isIdempotent)) break
    }
    throw (
      last ?? new MeshError('E_BALANCE_NO_ENDPOINT', `${service}: neither an agent, a center nor an endpoint is known`)
    )
  }

  private fail(error: Error): void {
    if (this.isOver) return
    this.deps.book.failed++
    this.over()
    this.listener.fail(error)
  }

  private over(): void {
    if (this.isOver) return
    this.isOver = true
    this.deps.book.leave()
    this.discard()
  }

  /** What is left of a body that nobody reads any more. */
  private discard(): void {
    if (this.body?.kind === 'stream') this.body.discard?.()
  }
}
