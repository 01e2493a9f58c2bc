import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { FilterContext } from '../filters/filter.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import type { Routing } from './routing.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'

/** What filters see of an exchange and may do to its request. One per exchange, which sets `now`. */
export class ExchangeContext implements FilterContext {
  readonly view: RequestMessage
  readonly random: () => number
  now = 0
  private readonly stream: DownstreamStream
  private readonly routing: Routing
  private readonly reply: OutgoingReply

  constructor(stream: DownstreamStream, routing: Routing, reply: OutgoingReply, random: () => number) {
    this.view = stream.request
    this.random = random
    this.stream = stream
    this.routing = routing
    this.reply = reply
  }

  get peer(): PeerIdentity {
    return this.stream.accepted.identity
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
