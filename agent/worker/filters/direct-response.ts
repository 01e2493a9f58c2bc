/** Answers that a rule holds ready: the last filter of a route that does not forward. */
import type { HttpActionSpec } from '../../../contracts/route-spec.ts'
import type { HeaderEdits } from '../route/fields.ts'
import { editedFields, noFields } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Filter, FilterCounts } from './filter.ts'
import type { FilterKind } from './kind.ts'

type DirectSpec = Extract<HttpActionSpec, { kind: 'direct' }>

export const directResponseKind: FilterKind<DirectSpec, Filter> = {
  kind: 'direct',
  make: (spec, { counts, responseEdits }) => new DirectResponse(spec, responseEdits, counts),
}

class DirectResponse implements Filter {
  readonly kind = 'direct'
  private readonly answer: Answer
  private readonly counts: FilterCounts

  /** `edits`: what the route does to replies. */
  constructor(spec: DirectSpec, edits: HeaderEdits | null, counts: FilterCounts) {
    const { status } = spec
    const body = spec.bodyIsBase64 === true ? Buffer.from(spec.body, 'base64') : Buffer.from(spec.body, 'utf8')
    const fields = editedFields(body.length === 0 ? noFields : [['content-type', spec.contentType]], edits)
    this.answer = { kind: 'answer', status, code: undefined, flag: '-', fields, body }
    this.counts = counts
  }

  onRequest(): Answer {
    this.counts.directResponses++
    return this.answer
  }

  explain(): string {
    return `answers ${this.answer.status} with ${this.answer.body.length} bytes of its own`
  }
}
