/**
 * Bidirectional calls that live long: the caller says one numbered message after another, the application says each
 * back, and both note what is missing, doubled or out of order.
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, Http2Server, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'

const messageBytes = 32
const prefixBytes = 5

function message(number: number): Buffer {
  const bytes = Buffer.alloc(messageBytes, number & 0xff)
  bytes.writeUInt8(0, 0)
  bytes.writeUInt32BE(messageBytes - prefixBytes, 1)
  bytes.writeUInt32BE(number, prefixBytes)
  return bytes
}

/** Reads messages that must be numbered from 0. */
class Numbered {
  next = 0
  readonly faults: string[] = []
  private rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer, onMessage: (bytes: Buffer) => void = () => {}): void {
    this.rest = Buffer.concat([this.rest, chunk])
    while (this.rest.length >= messageBytes) {
      const bytes = this.rest.subarray(0, messageBytes)
      this.rest = this.rest.subarray(messageBytes)
      if (!bytes.equals(message(this.next))) this.faults.push(`not message ${this.next}: ${bytes.toString('hex')}`)
      this.next++
      onMessage(bytes)
    }
  }
}

export class EchoApplication {
  readonly faults: string[] = []
  connections = 0
  private readonly server: Http2Server = http2.createServer()

  async start(address = '127.0.0.1'): Promise<number> {
    this.server.on('session', () => this.connections++)
    this.server.on('stream', (stream: ServerHttp2Stream) => this.serve(stream))
    this.server.listen(0, address)
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  private serve(stream: ServerHttp2Stream): void {
    const read = new Numbered()
    stream.on('error', (error) => this.faults.push(`application: ${error.message}`))
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.on('data', (chunk: Buffer) => read.take(chunk, (bytes) => stream.write(bytes)))
    stream.on('end', () => {
      this.faults.push(...read.faults)
      stream.end()
    })
  }

  close(): void {
    this.server.close()
  }
}

class LongCall {
  readonly stream: ClientHttp2Stream
  readonly read = new Numbered()
  sent = 0
  status: unknown

  constructor(session: ClientHttp2Session, faults: string[]) {
    this.stream = session.request(
      { ':method': 'POST', ':path': '/echo.Echo/Talk', 'content-type': 'application/grpc', te: 'trailers' },
      { endStream: false },
    )
    this.stream.on('error', (error) => faults.push(`caller: ${error.message}`))
    this.stream.on('response', (head) => {
      const status = head['grpc-status']
      if (status !== undefined) faults.push(`answered with ${String(status)}: ${String(head['grpc-message'])}`)
    })
    this.stream.on('trailers', (trailers: http2.IncomingHttpHeaders) => (this.status = trailers['grpc-status']))
    this.stream.on('data', (chunk: Buffer) => this.read.take(chunk))
  }

  say(): void {
    this.stream.write(message(this.sent++))
  }
}

export class LongCalls {
  readonly faults: string[] = []
  goneAway = 0
  private readonly sessions: ClientHttp2Session[] = []
  private readonly calls: LongCall[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(port: number, connections: number, callsEach: number, host = '127.0.0.1') {
    for (let n = 0; n < connections; n++) {
      const session = http2.connect(`http://${host}:${port}`)
      session.on('error', (error) => this.faults.push(`connection: ${error.message}`))
      session.on('goaway', () => this.goneAway++)
      this.sessions.push(session)
      for (let m = 0; m < callsEach; m++) this.calls.push(new LongCall(session, this.faults))
    }
  }

  /** Messages of each call per second. */
  begin(perSecond: number): void {
    let at = 0
    const parts = 20
    this.timer = setInterval(
      () => {
        for (let n = at++ % parts; n < this.calls.length; n += parts) this.calls[n]!.say()
      },
      1000 / perSecond / parts,
    )
  }

  get answered(): number {
    return this.calls.reduce((sum, { read }) => sum + read.next, 0)
  }

  /** Of the call that got least. */
  get least(): number {
    return Math.min(...this.calls.map(({ read }) => read.next))
  }

  /** Ends every call in order; answers what was wrong. */
  async end(): Promise<string[]> {
    clearInterval(this.timer)
    await Promise.all(
      this.calls.map(async ({ stream }) => {
        stream.end()
        if (!stream.closed) await once(stream, 'close')
      }),
    )
    for (const { read, sent, status } of this.calls) {
      this.faults.push(...read.faults)
      if (read.next !== sent) this.faults.push(`${sent} messages said, ${read.next} came back`)
      if (status !== '0') this.faults.push(`ended with status ${String(status)}`)
    }
    return this.faults
  }

  close(): void {
    clearInterval(this.timer)
    for (const session of this.sessions) session.destroy()
  }
}

/** Channels that make one short call after another. */
export class ShortCalls {
  readonly faults: string[] = []
  answered = 0
  private readonly sessions: ClientHttp2Session[] = []
  private readonly running: Promise<void>[] = []
  private isOver = false

  constructor(port: number, channels: number) {
    for (let n = 0; n < channels; n++) {
      const session = http2.connect(`http://127.0.0.1:${port}`)
      session.on('error', (error) => this.faults.push(`connection: ${error.message}`))
      session.on('goaway', () => this.faults.push('told to go away'))
      session.on('close', () => this.isOver || this.faults.push('connection closed'))
      this.sessions.push(session)
      this.running.push(this.run(session))
    }
  }

  private async run(session: ClientHttp2Session): Promise<void> {
    while (!this.isOver && this.faults.length === 0) {
      const call = new LongCall(session, this.faults)
      call.say()
      call.stream.end()
      if (!call.stream.closed) await once(call.stream, 'close')
      if (call.read.next !== 1 || call.status !== '0') this.faults.push(`a call ended with ${String(call.status)}`)
      this.answered++
    }
  }

  async end(): Promise<string[]> {
    this.isOver = true
    await Promise.all(this.running)
    return this.faults
  }

  close(): void {
    this.isOver = true
    for (const session of this.sessions) session.destroy()
  }
}
