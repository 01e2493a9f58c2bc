/**
 * A WebSocket of HTTP/1.1 and one over a stream (extended CONNECT, RFC 8441) ask for the same thing in other words:
 * there a key is answered by a hash of it, here there is neither.
 */
import { createHash } from 'node:crypto'
import type { FieldVisitor, ReplyMessage } from '../../forward/streams.ts'

/** RFC 6455 section 1.3. */
const secret = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The reply of an endpoint that took the WebSocket, as the 101 that the caller waits for. */
export class SwitchReply implements ReplyMessage {
  readonly status = 101
  readonly hasContent = false
  readonly contentLength = -1
  readonly wire = null
  private readonly base: ReplyMessage
  private readonly key: string | undefined

  /** `key`: of the caller; undefined = its protocol has none. */
  constructor(base: ReplyMessage, key: string | undefined) {
    this.base = base
    this.key = key
  }

  private get accept(): string | undefined {
    return this.key === undefined ? undefined : createHash('sha1').update(`${this.key}${secret}`).digest('base64')
  }

  header(name: string): string | undefined {
    return name === 'sec-websocket-accept' ? this.accept : this.base.header(name)
  }

  eachField(visit: FieldVisitor): void {
    if (this.key === undefined) {
      this.base.eachField(visit)
      return
    }
    // one of the endpoint's own would make two of them, which a browser refuses
    this.base.eachField((name, value) => {
      if (name !== 'sec-websocket-accept') visit(name, value)
    })
    visit('upgrade', 'websocket')
    visit('connection', 'upgrade')
    visit('sec-websocket-accept', this.accept!)
  }
}
