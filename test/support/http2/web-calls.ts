/** A caller of gRPC-Web by hand (grpc/grpc doc/PROTOCOL-WEB.md), and an application of gRPC that notes what it gets. */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import type { Http2Server, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'

const prefixBytes = 5

/** A frame of gRPC: flags 0 = a message, 0x80 = trailers. */
export function grpcFrame(text: string, flags = 0): Buffer {
  const content = Buffer.from(text, 'latin1')
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt8(flags, 0)
  prefix.writeUInt32BE(content.length, 1)
  return Buffer.concat([prefix, content])
}

/** `flags text` of each whole frame. */
export function framesIn(bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at + prefixBytes <= bytes.length;) {
    const end = at + prefixBytes + bytes.readUInt32BE(at + 1)
    found.push(`${bytes.readUInt8(at)} ${bytes.toString('latin1', at + prefixBytes, end)}`)
    at = end
  }
  return found
}

/** Base64 of which each piece may be padded by itself. */
export function decodeText(text: string): Buffer {
  const quanta = text.match(/.{4}/gs) ?? []
  return Buffer.concat(quanta.map((quantum) => Buffer.from(quantum, 'base64')))
}

export class WebApplication {
  readonly heads: http2.IncomingHttpHeaders[] = []
  readonly contents: Buffer[] = []
  cancelled = 0
  /** Of the next call. */
  answer: (stream: ServerHttp2Stream, content: Buffer) => void = echo
  private readonly server: Http2Server = http2.createServer()

  async start(): Promise<number> {
    this.server.on('stream', (stream: ServerHttp2Stream, head: http2.IncomingHttpHeaders) => {
      const pieces: Buffer[] = []
      this.heads.push(head)
      stream.on('error', () => {})
      stream.on('aborted', () => this.cancelled++)
      stream.on('data', (piece: Buffer) => pieces.push(piece))
      stream.on('end', () => {
        if (stream.aborted) return
        const content = Buffer.concat(pieces)
        this.contents.push(content)
        this.answer(stream, content)
      })
    })
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  reset(): void {
    this.heads.length = 0
    this.contents.length = 0
    this.cancelled = 0
    this.answer = echo
  }

  close(): void {
    this.server.close()
  }
}

export function beginReply(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc+proto', 'x-initial': 'one' },
    { waitForTrailers: true },
  )
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
}

function echo(stream: ServerHttp2Stream, content: Buffer): void {
  beginReply(stream, { 'grpc-status': '0', 'x-trailing': 'two' })
  stream.end(content)
}

/** A reply without messages. */
export function refuse(status: string): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    const head = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status, 'grpc-message': 'no' }
    stream.respond(head, { endStream: true })
  }
}

export interface WebReply {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly content: Buffer
}

export interface WebCallOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
}

/** A call over HTTP/1.1; its content is written in these pieces. */
export async function beginWebCall(
  port: number,
  type: string,
  pieces: readonly (string | Buffer)[],
  { headers = {}, method = 'POST' }: WebCallOptions = {},
): Promise<IncomingMessage> {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path: '/test.Test/Call',
    headers: { 'content-type': type, 'x-grpc-web': '1', ...headers },
  })
  outgoing.flushHeaders()
  for (const piece of pieces) outgoing.write(piece)
  outgoing.end()
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  return incoming
}

export async function webCall(...given: Parameters<typeof beginWebCall>): Promise<WebReply> {
  const incoming = await beginWebCall(...given)
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return { status: incoming.statusCode, headers: incoming.headers, content: Buffer.concat(chunks) }
}
