/**
 * Says in HTTP/2 that nobody takes a call: what waits for an answer gets `UNAVAILABLE` (gRPC) or 503, and after which
 * time to try again. Nothing is read of a request but where its head ends; what is no HTTP/2 (TLS, say) is reset.
 *
 * Bounds: a request has 5 s to come, 64 KiB of it are kept at most; afterwards what comes is thrown away for a second.
 */
import type { ErrorCode } from '../../contracts/errors.ts'
import { headers as words } from '../../contracts/words.ts'
import { nobody, type Wire, type WireOwner } from './wire.ts'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const headBytes = 9
const types = { headers: 1, settings: 4, ping: 6, goAway: 7, continuation: 9 } as const
const endStream = 1
/** Of SETTINGS and PING. */
const acknowledged = 1
const endHeaders = 4

const maxBytes = 65_536
const patienceMs = 5000
const lingerMs = 1000
const againMs = 1000

const code: ErrorCode = 'E_CENTER_UNREACHABLE'
const text = 'no worker, no center and no known endpoint takes the call now'

/** Whole, without the dynamic table. `isGrpc`: its callers read the status of a call, not that of HTTP. */
function headBlock(isGrpc: boolean): Buffer {
  const fields = [
    [':status', isGrpc ? '200' : '503'],
    ['content-type', isGrpc ? 'application/grpc' : 'text/plain'],
    ['retry-after', String(againMs / 1000)],
    [words.error, code],
    ...(isGrpc
      ? [
          ['grpc-status', '14'],
          ['grpc-message', `${code}  ${text}`],
          ['grpc-retry-pushback-ms', String(againMs)],
        ]
      : []),
  ]
  // literal fields with new names, none longer than 126 bytes
  const literal = (word: string): Buffer => Buffer.concat([Buffer.of(word.length), Buffer.from(word, 'latin1')])
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name!), literal(value!)]))
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export class Http2Refusal implements WireOwner {
  private readonly wire: Wire
  private readonly block: Buffer
  private received = Buffer.alloc(0)
  private hasPreface = false
  private newest = 0
  private isOver = false
  private timer: NodeJS.Timeout

  /** Takes the wire over, of which nothing was read yet, and resumes it. */
  constructor(wire: Wire, isGrpc: boolean) {
    this.wire = wire
    this.block = headBlock(isGrpc)
    this.timer = setTimeout(() => this.drop(), patienceMs)
    wire.owner = this
    wire.resume()
  }

  onBytes(bytes: Buffer): void {
    if (this.isOver) return
    this.received = Buffer.concat([this.received, bytes])
    if (this.received.length > maxBytes || !this.readPreface()) {
      this.drop()
      return
    }
    if (!this.hasPreface) return
    const before = this.newest
    while (this.readFrame());
    if (this.newest > before) this.end()
  }

  onEnd(): void {
    this.drop()
  }

  onDrained(): void {}

  onClosed(): void {
    clearTimeout(this.timer)
  }

  /** False: it is none. */
  private readPreface(): boolean {
    if (this.hasPreface) return true
    const length = Math.min(preface.length, this.received.length)
    if (!this.received.subarray(0, length).equals(preface.subarray(0, length))) return false
    if (length < preface.length) return true
    this.hasPreface = true
    this.received = this.received.subarray(length)
    this.wire.write(frame(types.settings, 0, 0, Buffer.alloc(0)))
    return true
  }

  /** False: the next one is not whole yet. */
  private readFrame(): boolean {
    const { received } = this
    if (received.length < headBytes) return false
    const length = headBytes + received.readUIntBE(0, 3)
    if (received.length < length) return false
    this.received = received.subarray(length)
    this.take(received[3]!, received[4]!, received.readUInt32BE(5) & 0x7fff_ffff, received.subarray(headBytes, length))
    return true
  }

  private take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === types.settings && (flags & acknowledged) === 0)
      this.wire.write(frame(types.settings, acknowledged, 0, Buffer.alloc(0)))
    else if (type === types.ping && (flags & acknowledged) === 0)
      this.wire.write(frame(types.ping, acknowledged, 0, Buffer.from(payload)))
    else if ((type === types.headers || type === types.continuation) && (flags & endHeaders) !== 0) {
      if (stream <= this.newest) return
      this.newest = stream
      this.wire.write(frame(types.headers, endHeaders | endStream, stream, this.block))
    }
  }

  /** All that had come is answered; what comes now was not, and may go elsewhere. */
  private end(): void {
    this.isOver = true
    this.received = Buffer.alloc(0)
    const last = Buffer.alloc(8)
    last.writeUInt32BE(this.newest)
    this.wire.write(frame(types.goAway, 0, 0, last))
    this.wire.end()
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.drop(), lingerMs)
  }

  private drop(): void {
    clearTimeout(this.timer)
    this.wire.owner = nobody
    if (this.isOver) this.wire.close()
    else this.wire.reset()
  }
}
