import { isAgentInbound } from '../../../contracts/endpoint.ts'
import type { EndpointState } from '../balance/types.ts'
import type { ReplyHead } from '../filters/answer.ts'
import type { FilterContext } from '../filters/filter.ts'
import type { HeaderEdits } from '../route/types.ts'
import type { ReplyEdits } from './streams.ts'
import type { Routing } from './routing.ts'

/** What the mesh changes in a reply on its way to the caller. One per worker, filled anew for each. */
export class ReplyChanges implements ReplyEdits {
  route: HeaderEdits | null = null
  destination: HeaderEdits | null = null
  cookie: HeaderEdits | null = null
  filters: readonly HeaderEdits[] | null = null
  private endpoint: EndpointState | null = null

  forReply(
    routing: Routing,
    endpoint: EndpointState,
    context: FilterContext,
    head: ReplyHead,
    cookie: HeaderEdits | null,
  ): ReplyEdits {
    const { destination, route } = routing
    const isFinal = route !== null && head.status >= 200
    this.destination = isFinal && destination !== null ? destination.responseEdits : null
    // a destination's edits hold those of its route
    this.route = isFinal && this.destination === null ? route.responseEdits : null
    this.cookie = isFinal ? cookie : null
    this.filters = isFinal ? filterEdits(routing, context, head) : null
    this.endpoint = endpoint
    return this
  }

  get isFromAgent(): boolean {
    return isAgentInbound(this.endpoint!.endpoint)
  }
}

/** What the filters of the route do to the head of a reply; null for nothing. */
export function filterEdits(
  { replyEdits, route }: Pick<Routing, 'replyEdits' | 'route'>,
  context: FilterContext,
  head: ReplyHead,
): HeaderEdits[] | null {
  let all: HeaderEdits[] | null = replyEdits === null ? null : [replyEdits]
  for (const filter of route?.replyFilters ?? []) {
    const edits = filter.onReply(context, head)
    if (edits !== null) (all ??= []).push(edits)
  }
  return all
}
