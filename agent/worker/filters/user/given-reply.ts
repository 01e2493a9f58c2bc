import type { FilterReply } from '../../../../contracts/user-filter.ts'
import type { HeaderEdits } from '../../route/fields.ts'
import type { ReplyHead } from '../answer.ts'
import { FieldEdits } from './field-edits.ts'

/** A reply as one filter of a user has it in its hands, for one call. */
export class GivenReply implements FilterReply {
  readonly status: number
  private head: ReplyHead | null
  private readonly changes = new FieldEdits()

  constructor(head: ReplyHead) {
    this.status = head.status
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

  /** Its call is over. null = nothing changes. */
  close(): HeaderEdits | null {
    this.head = null
    return this.changes.edits
  }

  private get open(): FieldEdits {
    return this.known && this.changes
  }

  private get known(): ReplyHead {
    if (this.head === null) throw new Error('the head of the reply has gone on')
    return this.head
  }
}
