import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { FilterContext } from '../filters/filter.ts'
import { eachEditedField } from '../forward/filter-context.ts'
import type { RequestMessage } from '../forward/streams.ts'
import { editedView } from '../route/edited-view.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import { joinedEdits } from '../route/header-edits.ts'
import { noIdentity } from '../transport/transport.ts'

/** What filters of a dry run see: the request, of which they change nothing. One for all requests, filled anew. */
export class QuietContext implements FilterContext {
  view!: RequestMessage
  peer: PeerIdentity = noIdentity
  now = 0
  kept: FilterContext['kept'] = null
  refusedReply: FilterContext['refusedReply'] = null
  token: FilterContext['token'] = null
  readonly random: () => number
  private edits: HeaderEdits | null = null

  constructor(random: () => number) {
    this.random = random
  }

  get edited(): RequestView {
    return editedView(this.view, this.edits)
  }

  take(view: RequestMessage, { now, peer }: FilterContext): void {
    this.view = view
    this.peer = peer
    this.now = now
    this.token = null
    this.edits = null
  }

  readonly mayChangeReply = false
  readonly isReplyChanged = false
  readonly contentLength = -1

  changeReply(): void {}

  limitContent(): void {}

  readContent(): { cancel(): void } {
    return { cancel() {} }
  }

  note(): void {}

  editReply(): void {}

  eachField(visit: (name: string, value: string) => void): void {
    eachEditedField(this.view, this.edits, visit)
  }

  editRequest(edits: HeaderEdits): void {
    this.edits = joinedEdits(this.edits, edits)
  }
}
