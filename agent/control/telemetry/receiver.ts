/**
 * Control's end of `contracts/telemetry.ts`; each signal has a stream of its own. A worker that breaks the protocol is
 * disconnected; it dials again.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { frameHeadBytes, groupHeadBytes, maxTelemetryFrameBytes, signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { RecordGroup } from './envelope.ts'

/** Workers of one generation plus those that are about to be replaced. */
const maxWorkers = 256
const lengthBytes = 4

/** False = these are taken, and no more until `resume`: workers wait, and drop what they have no room for. */
export type OnRecords = (signal: Signal, groups: readonly RecordGroup[]) => boolean

export class TelemetryReceiver {
  private readonly path: string
  private readonly onRecords: OnRecords
  private readonly onBroken: (reason: string) => void
  private readonly sockets = new Set<Socket>()
  private readonly paused = new Map<Socket, Signal>()
  private readonly server: Server

  constructor(path: string, onRecords: OnRecords, onBroken: (reason: string) => void) {
    this.path = path
    this.onRecords = onRecords
    this.onBroken = onBroken
    this.server = createServer((socket) => this.accept(socket))
  }

  /** After control's own socket, which says that this generation is ours alone. */
  async listen(): Promise<void> {
    rmSync(this.path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(this.path, resolve)
    })
    chmodSync(this.path, 0o600)
  }

  /** Workers that are about to end may take `ms` to say their last. */
  async close(ms: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
    }, ms)
    if (this.server.listening) await new Promise<void>((resolve) => this.server.close(() => resolve()))
    clearTimeout(timer)
  }

  private accept(socket: Socket): void {
    if (this.sockets.size >= maxWorkers) {
      socket.destroy()
      return
    }
    this.sockets.add(socket)
    let chunks: Buffer[] = []
    let held = 0
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      held += chunk.length
      try {
        // what belongs to one frame is put together once
        if (held < wantedOf(chunks)) return
        const left = this.read(socket, chunks.length === 1 ? chunk : Buffer.concat(chunks, held))
        chunks = left.length === 0 ? [] : [left]
        held = left.length
      } catch (error) {
        this.onBroken(error instanceof Error ? error.message : String(error))
        socket.destroy()
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.sockets.delete(socket)
      this.paused.delete(socket)
    })
  }

  /** Answers what is left: the beginning of a frame. */
  private read(socket: Socket, bytes: Buffer): Buffer {
    let at = 0
    while (bytes.length - at >= lengthBytes) {
      const length = frameLength(bytes, at)
      if (bytes.length - at - lengthBytes < length) break
      const frame = bytes.subarray(at + lengthBytes, at + lengthBytes + length)
      at += lengthBytes + length
      const signal = signals[frame[0]!]
      if (signal === undefined) throw new RangeError(`signal ${frame[0]}`)
      if (!this.onRecords(signal, groupsIn(frame))) {
        socket.pause()
        this.paused.set(socket, signal)
      }
    }
    return at === 0 ? bytes : Buffer.from(bytes.subarray(at))
  }

  /** There is room for records of this signal again. */
  resume(signal: Signal): void {
    for (const [socket, paused] of this.paused) {
      if (paused !== signal) continue
      this.paused.delete(socket)
      socket.resume()
    }
  }
}

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at)
  if (length < frameHeadBytes - lengthBytes || length > maxTelemetryFrameBytes)
    throw new RangeError(`a frame of ${length} bytes, allowed ${maxTelemetryFrameBytes}`)
  return length
}

/** How many bytes the first frame takes with its length; too many while that is not known. */
function wantedOf(chunks: readonly Buffer[]): number {
  const [first] = chunks
  if (first === undefined || first.length < lengthBytes) return chunks.length > 1 ? 0 : lengthBytes
  return lengthBytes + frameLength(first, 0)
}

/** Views into the frame, which is held as long as the last of them. */
export function groupsIn(frame: Buffer): RecordGroup[] {
  const groups: RecordGroup[] = []
  let at = 1
  while (at < frame.length) {
    const nameLength = frame[at]!
    const headAt = at + 1 + nameLength
    const from = headAt + groupHeadBytes - 1
    if (from > frame.length) throw new RangeError('a group without its head')
    const length = frame.readUInt32BE(headAt + 4)
    if (from + length > frame.length) throw new RangeError('a group that is longer than its frame')
    const service = frame.toString('latin1', at + 1, headAt)
    groups.push({ service, count: frame.readUInt32BE(headAt), bytes: frame.subarray(from, from + length) })
    at = from + length
  }
  return groups
}
