import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import { isFieldValue, isToken } from '../../../../http1/field-text.ts'
import { Head } from '../../../../http1/head.ts'
import { readReply } from '../../../../http1/read-reply.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import { reasonPhrase } from '../../../../http1/reason-phrase.ts'
import type { StringCache } from '../../../../http1/string-cache.ts'
import { Method } from '../../../../http1/types.ts'
import type { FieldVisitor, ReplyMessage, RequestMessage } from '../../forward/streams.ts'

/**
 * Says messages of another protocol in HTTP/1.1, and reads them with the same reader as everything that comes from
 * outside: what it refuses is not sent, whatever the other codec let pass. null = it cannot be said.
 */
export class ForeignHeads {
  private readonly head: Head

  constructor(strings: StringCache, maxFields: number) {
    this.head = new Head(strings, maxFields)
  }

  request(message: RequestMessage, limits: LimitsSpec): Head | null {
    const { contentLength, hasContent, query } = message
    const target = query === '' ? message.path : `${message.path}?${query}`
    if (!isToken(message.method) || !isFieldValue(target) || !isFieldValue(message.authority)) return null
    let text = `${message.method} ${target} HTTP/1.1\r\n`
    text += `host: ${message.authority}\r\n`
    if (message.takesTrailers) text += 'connection: te\r\nte: trailers\r\n'
    if (message.asksUpgrade) text += 'connection: upgrade\r\nupgrade: websocket\r\n'
    if (hasContent)
      text += contentLength < 0 ? 'transfer-encoding: chunked\r\n' : `content-length: ${contentLength}\r\n`
    return this.read(text, message, (bytes) => readRequest(this.head, bytes, 0, bytes.length, limits))
  }

  reply(message: ReplyMessage, limits: LimitsSpec): Head | null {
    const { contentLength, hasContent, status } = message
    let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
    if (contentLength >= 0) text += `content-length: ${contentLength}\r\n`
    else if (hasContent) text += 'transfer-encoding: chunked\r\n'
    const method = hasContent ? Method.get : Method.head
    return this.read(text, message, (bytes) =>
      readReply(this.head, bytes, 0, bytes.length, limits, method, status === 101),
    )
  }

  private read(
    start: string,
    message: { eachField(visit: FieldVisitor): void },
    read: (bytes: Buffer) => number,
  ): Head | null {
    let text = start
    let isSayable = true
    message.eachField((name, value) => {
      isSayable &&= isToken(name) && isFieldValue(value)
      text += `${name}: ${value}\r\n`
    })
    if (!isSayable) return null
    const bytes = Buffer.from(`${text}\r\n`, 'latin1')
    this.head.reset()
    return read(bytes) === bytes.length ? this.head : null
  }
}
