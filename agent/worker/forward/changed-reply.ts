import type { FieldVisitor, ReplyMessage } from './streams.ts'

/** The head of a reply whose content filters change: how long it will be nobody knows. */
export class ChangedReply implements ReplyMessage {
  readonly wire = null
  readonly contentLength = -1
  private readonly base: ReplyMessage

  constructor(base: ReplyMessage) {
    this.base = base
  }

  get status(): number {
    return this.base.status
  }
  get hasContent(): boolean {
    return this.base.hasContent
  }

  header(name: string): string | undefined {
    return this.base.header(name)
  }

  eachField(visit: FieldVisitor): void {
    this.base.eachField(visit)
  }
}
