/**
 * The frame of every stream between our own processes: 4 bytes big-endian length, then that many bytes of UTF-8 JSON.
 */
import { MeshError } from './errors.ts'

/** Largest frame that is sent or accepted, in bytes: a snapshot of 10,000 services with 100,000 endpoints fits. */
const maxFrameBytes = 64 * 1024 * 1024

export function encodeFrame(message: object): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > maxFrameBytes) throw new MeshError('E_WIRE', `frame of ${length} bytes, allowed ${maxFrameBytes}`)
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length, 0)
  frame.write(text, 4)
  return frame
}

/**
 * Cuts a byte stream into messages. Throws E_WIRE for a length over `limit` or for bytes that are not JSON objects; the
 * stream is then useless.
 */
export class FrameReader {
  private chunks: Buffer[] = []
  private held = 0
  private readonly limit: number

  constructor(limit: number = maxFrameBytes) {
    this.limit = limit
  }

  push(chunk: Buffer): unknown[] {
    this.chunks.push(chunk)
    this.held += chunk.length
    const messages: unknown[] = []
    for (;;) {
      if (this.held < 4) return messages
      const header = this.peek(4)
      const length = header.readUInt32BE(0)
      if (length > this.limit) throw new MeshError('E_WIRE', `frame of ${length} bytes, allowed ${this.limit}`)
      if (this.held < 4 + length) return messages
      this.take(4)
      messages.push(parseMessage(this.take(length)))
    }
  }

  private peek(count: number): Buffer {
    const first = this.chunks[0]
    if (first !== undefined && first.length >= count) return first
    this.chunks = [Buffer.concat(this.chunks)]
    return this.chunks[0]!
  }

  private take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0)
    const whole = this.peek(count)
    const taken = whole.subarray(0, count)
    if (whole.length === count) this.chunks.shift()
    else this.chunks[0] = whole.subarray(count)
    this.held -= count
    return taken
  }
}

function parseMessage(bytes: Buffer): unknown {
  let message: unknown
  try {
    message = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new MeshError('E_WIRE', `frame of ${bytes.length} bytes is not JSON`, { cause })
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new MeshError('E_WIRE', 'frame is not a JSON object')
  }
  return message
}
