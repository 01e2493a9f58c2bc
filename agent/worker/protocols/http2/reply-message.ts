import type { FieldVisitor, ReplyMessage } from '../../forward/streams.ts'
import type { Http2Head } from './head.ts'

/** The head of a reply in HTTP/2. Lives with the stream whose replies it tells. */
export class Http2Reply implements ReplyMessage {
  wire!: Http2Head
  hasContent = false

  get status(): number {
    return this.wire.status
  }
  get contentLength(): number {
    return this.wire.contentLength
  }

  header(name: string): string | undefined {
    return this.wire.header(name)
  }

  eachField(visit: FieldVisitor): void {
    this.wire.eachField(visit)
  }
}
