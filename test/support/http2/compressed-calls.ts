/**
 * The peers of gRPC's interop cases about compression. A message is its length prefix with the flag that says whether
 * it is compressed, and as content one byte of wishes before a payload.
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'

const prefixBytes = 5

/** What a message asks for, or is. */
export interface Message {
  /** Of the message itself. */
  readonly isCompressed: boolean
  /** In requests: the message must be compressed (`expect_compressed`). */
  readonly expectsCompressed?: boolean
  /** In requests: compress the reply to it (`response_compressed`). */
  readonly wantsCompressed?: boolean
  /** Bytes of payload. */
  readonly size: number
}

function write({ expectsCompressed, isCompressed, size, wantsCompressed }: Message): Buffer {
  const wishes = (expectsCompressed === true ? 1 : 0) | (wantsCompressed === true ? 2 : 0)
  const plain = Buffer.concat([Buffer.from([wishes]), Buffer.alloc(size, 7)])
  const content = isCompressed ? gzipSync(plain) : plain
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt8(isCompressed ? 1 : 0, 0)
  prefix.writeUInt32BE(content.length, 1)
  return Buffer.concat([prefix, content])
}

/** Cuts content into messages. */
class Messages {
  private rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Message[] {
    this.rest = Buffer.concat([this.rest, chunk])
    const found: Message[] = []
    while (this.rest.length >= prefixBytes) {
      const end = prefixBytes + this.rest.readUInt32BE(1)
      if (this.rest.length < end) break
      const isCompressed = this.rest.readUInt8(0) === 1
      const content = this.rest.subarray(prefixBytes, end)
      const plain = isCompressed ? gunzipSync(content) : content
      const wishes = plain.readUInt8(0)
      const isWhole = plain.subarray(1).every((byte) => byte === 7)
      found.push({
        isCompressed,
        expectsCompressed: (wishes & 1) !== 0,
        wantsCompressed: (wishes & 2) !== 0,
        size: isWhole ? plain.length - 1 : -1,
      })
      this.rest = this.rest.subarray(end)
    }
    return found
  }
}

const status = { ok: '0', invalidArgument: '3' }

/** Answers each message by one of its size, compressed as it wishes, and refuses one that is not as it says. */
export class CompressingApplication {
  private readonly server: Http2Server = http2.createServer()

  async start(): Promise<number> {
    this.server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => serve(stream, headers))
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  close(): void {
    this.server.close()
  }
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const read = new Messages()
  let code = status.ok
  stream.on('error', () => {})
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' },
    { waitForTrailers: true },
  )
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': code }))
  stream.on('data', (chunk: Buffer) => {
    for (const { expectsCompressed, isCompressed, size, wantsCompressed } of read.take(chunk)) {
      const isSaid = isCompressed && headers['grpc-encoding'] !== 'gzip'
      if (isSaid || (expectsCompressed === true && !isCompressed)) code = status.invalidArgument
      else stream.write(write({ isCompressed: wantsCompressed === true, size }))
    }
  })
  stream.on('end', () => stream.end())
}

export interface Heard {
  readonly status: unknown
  readonly encoding: unknown
  readonly accepted: unknown
  readonly replies: readonly { readonly isCompressed: boolean; readonly size: number }[]
}

/** One call on a connection of its own: all its messages, then what came back. */
export async function callCompressed(port: number, messages: readonly Message[]): Promise<Heard> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.testing.TestService/FullDuplexCall',
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
    'grpc-accept-encoding': 'gzip',
    te: 'trailers',
  })
  const read = new Messages()
  const replies: { isCompressed: boolean; size: number }[] = []
  let trailers: IncomingHttpHeaders = {}
  stream.on('trailers', (fields: IncomingHttpHeaders) => (trailers = fields))
  stream.on('data', (chunk: Buffer) => {
    for (const { isCompressed, size } of read.take(chunk)) replies.push({ isCompressed, size })
  })
  for (const message of messages) stream.write(write(message))
  stream.end()
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  if (!stream.closed) await once(stream, 'close')
  session.close()
  return {
    status: trailers['grpc-status'],
    encoding: head['grpc-encoding'],
    accepted: head['grpc-accept-encoding'],
    replies,
  }
}
