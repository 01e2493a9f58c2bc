import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import type { HeaderEdits } from '../../route/fields.ts'
import { contentTooLong, refusal } from '../answer.ts'
import type { Answer, ReplyHead } from '../answer.ts'
import { maxReadContent } from '../filter.ts'
import type { FilterContext, FilterVerdict, ReplyFilter, Wait, WaitCall, Waiter } from '../filter.ts'
import type { FilterKind } from '../kind.ts'
import { LastEdits } from './field-edits.ts'
import { GuardedChange } from './guarded-change.ts'
import { GivenReply } from './given-reply.ts'
import { GivenRequest } from './given-request.ts'
import { loadMs } from './guarded-filter.ts'
import type { GuardedFilter } from './guarded-filter.ts'
import { answerOf, withoutFilter } from './said.ts'
import type { UserFilters } from './user-filters.ts'

type Entry = Extract<FilterSpec, { kind: 'user' }>

/** For the content of a request to come. */
const contentMs = 30_000
const contentTooSlow = refusal(
  408,
  'E_DOWNSTREAM_TIMEOUT',
  'DT',
  'E_DOWNSTREAM_TIMEOUT  the content of the request did not come in time',
)

/** Without `filters` (a dry run) none is run: what they would say cannot be told. */
export function userKind(filters: UserFilters | undefined): FilterKind<Entry, ReplyFilter> {
  return { kind: 'user', make: ({ name }) => new UserFilterOnRoute(name, filters) }
}

/** Runs a filter of a user at its place in a route, and bears what comes of it. */
class UserFilterOnRoute implements ReplyFilter {
  readonly kind = 'user'
  private readonly name: string
  private readonly filters: UserFilters | undefined
  private readonly refused: Answer
  private readonly requestEdits = new LastEdits()
  private readonly replyEdits = new LastEdits()

  constructor(name: string, filters: UserFilters | undefined) {
    this.name = name
    this.filters = filters
    this.refused = withoutFilter(name)
  }

  onRequest(context: FilterContext): FilterVerdict {
    if (this.filters === undefined) return untold
    const filter = this.filters.get(this.name)
    if (filter === undefined) return this.refused
    if (filter.state === 'loading') return waitFor(new Loading(this, filter, context), loadMs)
    return this.run(filter, context)
  }

  run(filter: GuardedFilter, context: FilterContext): FilterVerdict {
    if (!filter.isOn(context.now)) return this.without(filter)
    const { hooks } = filter
    if (hooks.onRequestHead === undefined && hooks.onRequestBody === undefined) return null
    const request = this.given(context)
    const verdict =
      hooks.onRequestHead === undefined ? null : this.ask(filter, request, () => hooks.onRequestHead!(request))
    if (verdict !== null || hooks.onRequestBody === undefined || !request.isOpen) return verdict
    return waitFor(new Reading(this, filter, request, context), contentMs)
  }

  /** Its word about a head, or about content. */
  ask(filter: GuardedFilter, request: GivenRequest, hook: () => unknown, isContent = false): FilterVerdict {
    const { cell } = this.filters!
    let said: unknown
    cell.enter(filter.number)
    try {
      said = hook()
    } catch (error) {
      return this.failed(filter, request, 'thrown', error)
    } finally {
      cell.leave()
    }
    const hasMore = filter.hooks.onRequestBody !== undefined && !isContent
    if (hasMore && (said === undefined || said === null)) return null
    if (hasMore && isPromise(said)) {
      said.then(undefined, () => {})
      return this.failed(filter, request, 'answer', 'onRequestHead promises, where onRequestBody is to decide')
    }
    if (isPromise(said)) return waitFor(new Answering(this, filter, request, said), filter.spec.deadlineMs)
    return this.decide(filter, request, said)
  }

  /** What it said, in one go or later. */
  decide(filter: GuardedFilter, request: GivenRequest, said: unknown): Answer | null {
    try {
      const answer = answerOf(said, this.name)
      request.goOn(answer === null)
      return answer
    } catch (error) {
      return this.failed(filter, request, 'answer', error)
    }
  }

  failed(
    filter: GuardedFilter,
    request: GivenRequest,
    kind: 'thrown' | 'timeout' | 'answer',
    error: unknown,
  ): Answer | null {
    request.goOn(false)
    filter.fail(kind, error)
    return this.without(filter)
  }

  without({ spec }: GuardedFilter): Answer | null {
    return spec.failOpen ? null : this.refused
  }

  onReply(context: FilterContext, head: ReplyHead): HeaderEdits | null {
    const filter = this.filters?.get(this.name)
    // a reply that is refused already is none of an application
    if (filter === undefined || context.refusedReply !== null) return null
    if (!filter.isOn(context.now)) return this.withoutOnReply(filter, context)
    if (filter.hooks.onReplyHead === undefined) return null
    const { cell } = this.filters!
    const reply = new GivenReply(head, context.mayChangeReply, context.isReplyChanged)
    cell.enter(filter.number)
    try {
      const request = this.given(context)
      // one that came from another process, or had no other hook
      if (request.isOpen) request.goOn(false)
      const said: unknown = filter.hooks.onReplyHead(reply, request)
      if (isPromise(said)) {
        // what becomes of it nobody waits for
        said.then(undefined, () => {})
        throw new TypeError('onReplyHead answers with a promise; a reply does not wait')
      }
      const edits = reply.close(this.replyEdits)
      if (reply.transform !== null) context.changeReply(new GuardedChange(filter, cell, reply.transform))
      return edits
    } catch (error) {
      reply.drop()
      filter.fail('thrown', error)
      return this.withoutOnReply(filter, context)
    } finally {
      cell.leave()
    }
  }

  private withoutOnReply(filter: GuardedFilter, context: FilterContext): null {
    // without its word no request went out, so what is here is our own answer to that
    if (!filter.spec.failOpen && filter.hooks.onReplyHead !== undefined) context.refusedReply = this.refused
    return null
  }

  explain(): string {
    const filter = this.filters?.get(this.name)
    if (filter === undefined) return `refuses with 503: this host has no filter ${this.name}`
    const { consequence, hooks, spec, state, why } = filter
    if (state === 'on')
      return `runs filter ${spec.name} of ${spec.path ?? `kind ${spec.builtin}`} (${Object.keys(hooks).join(', ') || 'without hooks'}); when it fails, ${consequence}`
    return `filter ${spec.name} is ${state}${why === '' ? '' : `: ${why}`}; ${consequence}`
  }

  private given(context: FilterContext): GivenRequest {
    const known = context.kept?.find(({ owner }) => owner === this)
    if (known !== undefined) return known as GivenRequest
    const made = new GivenRequest(this, context, this.requestEdits)
    if (context.kept === null) context.kept = [made]
    else context.kept.push(made)
    return made
  }
}

function isPromise(said: unknown): said is PromiseLike<unknown> {
  return typeof said === 'object' && said !== null && typeof (said as { then?: unknown }).then === 'function'
}

function waitFor(call: WaitCall, ms: number): Wait {
  return { kind: 'wait', ms, flag: '-', call }
}

/** A wait behind another one, with a time of its own. */
function waitBehind({ call, ms }: Wait, waiter: Waiter): WaitCall | null {
  waiter.waitOn(ms)
  call?.begin(waiter)
  return call
}

/** In a dry run: the verdict is not known. */
const untold: Wait = waitFor({ begin() {}, cancel() {}, late: null }, 1)

/** A request that waits for a promise of the filter. */
class Answering implements WaitCall {
  private readonly route: UserFilterOnRoute
  private readonly filter: GuardedFilter
  private readonly request: GivenRequest
  private readonly said: PromiseLike<unknown>
  private waiter: Waiter | null = null

  constructor(route: UserFilterOnRoute, filter: GuardedFilter, request: GivenRequest, said: PromiseLike<unknown>) {
    this.route = route
    this.filter = filter
    this.request = request
    this.said = said
  }

  begin(waiter: Waiter): void {
    const { filter, request, route } = this
    this.waiter = waiter
    const end = (decide: () => Answer | null): void => {
      const { waiter: waiting } = this
      this.waiter = null
      // too late, or its caller is gone
      if (waiting !== null) waiting.resume(decide())
    }
    this.said.then(
      (said) => end(() => route.decide(filter, request, said)),
      (error: unknown) => end(() => route.failed(filter, request, 'thrown', error)),
    )
  }

  cancel(): void {
    this.waiter = null
  }

  get late(): Answer | null {
    const { filter, request, route } = this
    return route.failed(filter, request, 'timeout', `no answer within ${filter.spec.deadlineMs} ms`)
  }
}

/** A request whose content the filter wants to see. */
class Reading implements WaitCall {
  private readonly route: UserFilterOnRoute
  private readonly filter: GuardedFilter
  private readonly request: GivenRequest
  private readonly context: FilterContext
  private running: { cancel(): void } | null = null
  private behind: WaitCall | null = null

  constructor(route: UserFilterOnRoute, filter: GuardedFilter, request: GivenRequest, context: FilterContext) {
    this.route = route
    this.filter = filter
    this.request = request
    this.context = context
  }

  begin(waiter: Waiter): void {
    const { context, filter, request, route } = this
    this.running = context.readContent(maxReadContent, ({ bytes, isWhole }) => {
      this.running = null
      if (!isWhole) return waiter.resume(contentTooLong(maxReadContent))
      const verdict = route.ask(filter, request, () => filter.hooks.onRequestBody!(bytes, request), true)
      if (verdict === null || verdict.kind === 'answer') return waiter.resume(verdict)
      this.behind = waitBehind(verdict, waiter)
    })
  }

  cancel(waiter: Waiter): void {
    this.running?.cancel()
    this.running = null
    this.behind?.cancel(waiter)
  }

  get late(): Answer | null {
    return this.behind === null ? contentTooSlow : this.behind.late
  }
}

/** A request that waits for the filter to be made, and then for what it says. */
class Loading implements WaitCall {
  private readonly route: UserFilterOnRoute
  private readonly filter: GuardedFilter
  private readonly context: FilterContext
  private waiter: Waiter | null = null
  private behind: WaitCall | null = null

  constructor(route: UserFilterOnRoute, filter: GuardedFilter, context: FilterContext) {
    this.route = route
    this.filter = filter
    this.context = context
  }

  begin(waiter: Waiter): void {
    this.waiter = waiter
    void this.filter.settled.then(() => {
      if (this.waiter === null) return
      const verdict = this.route.run(this.filter, this.context)
      if (verdict === null || verdict.kind === 'answer') {
        this.waiter = null
        waiter.resume(verdict)
      } else {
        this.behind = waitBehind(verdict, waiter)
      }
    })
  }

  cancel(waiter: Waiter): void {
    this.waiter = null
    this.behind?.cancel(waiter)
  }

  get late(): Answer | null {
    return this.behind === null ? this.route.without(this.filter) : this.behind.late
  }
}
