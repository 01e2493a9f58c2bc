import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import { ContentLimit } from './content-limit.ts'
import { ChainedChanges } from './chained-changes.ts'
import { ContentReader } from './content-reader.ts'
import type { RequestBody } from './request-body.ts'
import type { ContentChange, TakenContent } from '../filters/answer.ts'
import type { FilterContext } from '../filters/filter.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import type { Override } from '../route/override.ts'
import type { Routing, RoutingContext } from './routing.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'

/** What routing and filters see of an exchange and may do to its request. One per exchange, which sets `now`. */
export class ExchangeContext implements RoutingContext {
  readonly view: RequestMessage
  readonly random: () => number
  now = 0
  kept: FilterContext['kept'] = null
  refusedReply: FilterContext['refusedReply'] = null
  /** Through which content of the reply passes; null = none. */
  replyChange: ContentChange | null = null
  /** On content of the request; null = none. */
  limit: ContentLimit | null = null
  /** Of content of the request; null = nobody reads it. */
  reader: ContentReader | null = null
  private readonly stream: DownstreamStream
  private readonly routing: Routing
  private readonly reply: OutgoingReply
  private readonly tallies: Tallies
  private readonly body: RequestBody

  constructor(
    stream: DownstreamStream,
    routing: Routing,
    reply: OutgoingReply,
    body: RequestBody,
    deps: { readonly random: () => number; readonly tallies: Tallies },
  ) {
    this.view = stream.request
    this.body = body
    this.random = deps.random
    this.tallies = deps.tallies
    this.stream = stream
    this.routing = routing
    this.reply = reply
  }

  get peer(): PeerIdentity {
    return this.stream.accepted.identity
  }

  get caller(): string {
    return this.stream.account.name
  }

  countOverride(kind: Override['kind']): void {
    const { tallies } = this
    if (kind === 'followed') tallies.routeOverrides++
    else if (kind === 'ignored') tallies.routeOverridesIgnored++
    else if (kind === 'refused') tallies.routeOverridesRefused++
  }

  get mayChangeReply(): boolean {
    return this.view.speaks === null
  }

  get isReplyChanged(): boolean {
    return this.replyChange !== null
  }

  changeReply(change: ContentChange): void {
    this.replyChange = this.replyChange === null ? change : new ChainedChanges(this.replyChange, change)
  }

  get contentLength(): number {
    return this.view.hasContent ? this.view.contentLength : 0
  }

  limitContent(most: number): void {
    if (this.limit === null || most < this.limit.most) this.limit = new ContentLimit(most)
  }

  readContent(most: number, told: (content: TakenContent) => void): ContentReader {
    const reader = new ContentReader(this.body, most, told)
    this.reader = reader
    reader.look(false)
    return reader
  }

  get edited(): RequestView {
    return this.routing.edited(this.view)
  }

  get token(): FilterContext['token'] {
    return this.routing.token
  }

  set token(token: FilterContext['token']) {
    this.routing.token = token
  }

  note(text: string): void {
    const { reply } = this
    reply.notes = reply.notes === '' ? text : `${reply.notes}, ${text}`
  }

  eachField(visit: (name: string, value: string) => void): void {
    eachEditedField(this.view, this.routing.requestEdits, visit)
  }

  editRequest(edits: HeaderEdits): void {
    this.routing.editRequest(edits)
  }

  editReply(edits: HeaderEdits): void {
    this.routing.editReply(edits)
  }

  /** For the next request. */
  reset(): void {
    this.refusedReply = null
    this.replyChange = null
    this.limit = null
    this.reader = null
    if (this.kept === null) return
    for (const one of this.kept) one.over()
    this.kept = null
  }
}

/** The fields of a request as filters have edited them. */
export function eachEditedField(
  view: RequestMessage,
  edits: HeaderEdits | null,
  visit: (name: string, value: string) => void,
): void {
  view.eachField((name, value) => {
    if (edits === null || !edits.drop.has(name)) visit(name, value)
  })
  for (const [name, value] of edits?.fields ?? []) visit(name, value)
}
