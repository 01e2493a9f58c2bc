import type { Head } from '../../../../http1/head.ts'
import { BodyKind } from '../../../../http1/types.ts'
import type { FieldVisitor, ReplyMessage } from '../../forward/streams.ts'
import { visitFields } from './visit-fields.ts'

/** The head of a reply in HTTP/1.1. Lives with the stream whose replies it tells. */
export class Http1Reply implements ReplyMessage {
  readonly wire: Head

  constructor(head: Head) {
    this.wire = head
  }

  get status(): number {
    return this.wire.status
  }
  get hasContent(): boolean {
    const { body } = this.wire
    return body !== BodyKind.none && body !== BodyKind.tunnel
  }
  get contentLength(): number {
    return this.wire.isChunked ? -1 : this.wire.contentLength
  }

  header(name: string): string | undefined {
    return this.wire.header(name)
  }

  eachField(visit: FieldVisitor): void {
    visitFields(this.wire, visit)
  }
}
