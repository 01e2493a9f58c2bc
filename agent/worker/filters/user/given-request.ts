import type { FilterRequest } from '../../../../contracts/user-filter.ts'
import type { FilterContext, KeptByFilter } from '../filter.ts'
import { FieldEdits } from './field-edits.ts'
import type { LastEdits } from './field-edits.ts'

const maxNote = 200

/**
 * A request as one filter of a user has it in its hands. It outlives neither the exchange, whose context serves the
 * next caller afterwards, nor can it change what has gone on.
 */
export class GivenRequest implements FilterRequest, KeptByFilter {
  data: unknown = undefined
  readonly owner: object
  private context: FilterContext | null
  /** Of the filter's requests. */
  private readonly last: LastEdits
  /** null: the request has gone on. */
  private edits: FieldEdits | null = null
  isOpen = true
  private limit = -1

  constructor(owner: object, context: FilterContext, last: LastEdits) {
    this.owner = owner
    this.last = last
    this.context = context
  }

  get method(): string {
    return this.known.view.method
  }
  get path(): string {
    return this.known.view.path
  }
  get query(): string {
    return this.known.view.query
  }
  get authority(): string {
    return this.known.view.authority
  }
  get scheme(): 'http' | 'https' {
    return this.known.view.scheme
  }
  get sourceAddress(): string {
    return this.known.view.sourceAddress
  }
  get sourceApplication(): string | undefined {
    return this.known.view.source?.app
  }
  get identity(): string | undefined {
    const { peer } = this.known
    return peer.kind === 'spiffe' ? peer.id : undefined
  }

  get bodyLength(): number {
    return this.known.contentLength
  }

  limitBody(bytes: number): void {
    if (!this.isOpen) throw new Error('the request has gone on')
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new TypeError('a limit is a number of bytes')
    this.limit = bytes
  }

  header(name: string): string | undefined {
    const { edited } = this.known
    return this.edits === null
      ? edited.header(name.toLowerCase())
      : this.edits.header({ header: (one) => edited.header(one), eachField() {} }, name)
  }

  headers(): [name: string, value: string][] {
    const context = this.known
    const head = {
      header: () => undefined,
      eachField: (visit: (name: string, value: string) => void) => context.eachField(visit),
    }
    return (this.edits ?? new FieldEdits()).headers(head)
  }

  setHeader(name: string, value: string): void {
    this.changes.set(name, value)
  }

  addHeader(name: string, value: string): void {
    this.changes.add(name, value)
  }

  removeHeader(name: string): void {
    this.changes.remove(name)
  }

  note(text: string): void {
    this.known.note(
      String(text)
        // eslint-disable-next-line no-control-regex
        .replace(/[^\x20-\x7e]/g, '?')
        .slice(0, maxNote),
    )
  }

  /** It goes on, with what was changed; or it does not, and nothing was. */
  goOn(isTaken: boolean): void {
    this.isOpen = false
    const edits = isTaken && this.edits !== null ? this.last.of(this.edits) : null
    this.edits = null
    if (edits !== null) this.known.editRequest(edits)
    if (isTaken && this.limit >= 0) this.known.limitContent(this.limit)
  }

  /** The exchange is over. */
  over(): void {
    this.isOpen = false
    this.context = null
    this.edits = null
    this.data = undefined
  }

  private get known(): FilterContext {
    if (this.context === null) throw new Error('the request is over')
    return this.context
  }

  private get changes(): FieldEdits {
    if (!this.isOpen) throw new Error('the request has gone on')
    return (this.edits ??= new FieldEdits())
  }
}
