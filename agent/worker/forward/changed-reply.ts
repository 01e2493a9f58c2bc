import type { FieldVisitor, ReplyMessage } from './streams.ts'

/** The head of a reply whose content filters change: how long it will be nobody knows, whatever its wire says. */
export class ChangedReply implements ReplyMessage {
  readonly contentLength = -1
  private readonly base: ReplyMessage

  constructor(base: ReplyMessage) {
    this.base = base
  }

  get wire(): object | null {
    return this.base.wire
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
