import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { FilterContext } from '../filters/filter.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { Routing } from './routing.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'

/** What filters see of an exchange and may do to its request. One per exchange, which sets `now`. */
export class ExchangeContext implements FilterContext {
  readonly view: RequestMessage
  readonly random: () => number
  now = 0
  private readonly stream: DownstreamStream
  private readonly routing: Routing

  constructor(stream: DownstreamStream, routing: Routing, random: () => number) {
    this.view = stream.request
    this.random = random
    this.stream = stream
    this.routing = routing
  }

  get peer(): PeerIdentity {
    return this.stream.accepted.identity
  }

  editRequest(edits: HeaderEdits): void {
    this.routing.editRequest(edits)
  }
}
