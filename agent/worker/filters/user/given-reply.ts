import type { BodyTransform, FilterReply } from '../../../../contracts/user-filter.ts'
import type { HeaderEdits } from '../../route/fields.ts'
import type { ReplyHead } from '../answer.ts'
import { FieldEdits } from './field-edits.ts'
import type { LastEdits } from './field-edits.ts'

/** A reply as one filter of a user has it in its hands, for one call. */
export class GivenReply implements FilterReply {
  readonly status: number
  readonly hasBody: boolean
  readonly bodyLength: number
  /** null = content passes as it is. */
  transform: BodyTransform | null = null
  private head: ReplyHead | null
  private readonly changes = new FieldEdits()

  /** `isChanged`: a filter before changes its content. */
  constructor(head: ReplyHead, mayChange: boolean, isChanged: boolean) {
    this.status = head.status
    this.hasBody = mayChange && head.hasContent
    this.bodyLength = isChanged ? -1 : head.contentLength
    this.head = head
  }

  header(name: string): string | undefined {
    return this.changes.header(this.known, name)
  }

  headers(): [name: string, value: string][] {
    return this.changes.headers(this.known)
  }

  setHeader(name: string, value: string): void {
    this.open.set(name, value)
  }

  addHeader(name: string, value: string): void {
    this.open.add(name, value)
  }

  removeHeader(name: string): void {
    this.open.remove(name)
  }

  transformBody(transform: BodyTransform): void {
    if (!this.hasBody) throw new Error('the reply has no content that may be changed')
    if (this.transform !== null) throw new Error('its content is transformed already')
    if (typeof (transform as Partial<BodyTransform> | null)?.chunk !== 'function')
      throw new TypeError('a transform has a function chunk')
    this.transform = this.known && transform
  }

  /** Its call is over. null = nothing changes. `last`: of the filter's replies. */
  close(last: LastEdits): HeaderEdits | null {
    this.head = null
    return last.of(this.changes)
  }

  /** Its call has failed. */
  drop(): void {
    this.head = null
  }

  private get open(): FieldEdits {
    return this.known && this.changes
  }

  private get known(): ReplyHead {
    if (this.head === null) throw new Error('the head of the reply has gone on')
    return this.head
  }
}
