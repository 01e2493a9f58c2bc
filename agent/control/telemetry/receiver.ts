/**
 * Control's end of `contracts/telemetry.ts`; each signal has a stream of its own. A worker that breaks the protocol is
 * disconnected; it dials again. So is the one that was held back first where a new one finds no place: nobody hears of
 * the end of a worker whose stream is not read.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { groupHeadBytes, maxTelemetryFrameBytes, signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import { FrameSocket } from './frame-socket.ts'
import type { ShortGroup } from './short-records.ts'

/** Streams of the workers of one generation plus those that are about to be replaced. */
const maxStreams = 256

/**
 * The groups are views, until this returns. False = these are taken, and no more until `resume`: workers wait, and drop
 * what they have no room for.
 */
export type OnRecords = (signal: Signal, groups: readonly ShortGroup[]) => boolean

export class TelemetryReceiver {
  private readonly path: string
  private readonly onRecords: OnRecords
  private readonly onBroken: (reason: string) => void
  private readonly sockets = new Set<FrameSocket>()
  private readonly paused = new Map<FrameSocket, Signal>()
  private readonly server: Server
  private onEmpty: (() => void) | undefined

  constructor(path: string, onRecords: OnRecords, onBroken: (reason: string) => void) {
    this.path = path
    this.onRecords = onRecords
    this.onBroken = onBroken
    this.server = createServer({ pauseOnConnect: true }, (socket) => this.accept(socket))
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
    if (this.server.listening) await new Promise<void>((resolve) => this.server.close(() => resolve()))
    if (this.sockets.size === 0) return
    const empty = new Promise<void>((resolve) => (this.onEmpty = resolve))
    const timer = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
    }, ms)
    await empty
    clearTimeout(timer)
  }

  private accept(accepted: Socket): void {
    if (this.sockets.size >= maxStreams) this.giveUpPaused()
    if (this.sockets.size >= maxStreams) {
      accepted.destroy()
      return
    }
    const socket: FrameSocket = new FrameSocket(accepted, {
      onFrame: (frame) => this.read(socket, frame),
      onBroken: this.onBroken,
      onClosed: () => this.forget(socket),
    })
    this.sockets.add(socket)
  }

  private giveUpPaused(): void {
    const [longest] = this.paused.keys()
    if (longest === undefined) return
    this.forget(longest)
    longest.destroy()
  }

  private forget(socket: FrameSocket): void {
    this.sockets.delete(socket)
    this.paused.delete(socket)
    if (this.sockets.size === 0) this.onEmpty?.()
  }

  private read(socket: FrameSocket, frame: Buffer): boolean {
    const signal = signals[frame[0]!]
    if (signal === undefined) throw new RangeError(`signal ${frame[0]}`)
    if (this.onRecords(signal, groupsIn(frame))) return true
    this.paused.set(socket, signal)
    return false
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

/** Views into the frame. */
export function groupsIn(frame: Buffer): ShortGroup[] {
  const groups: ShortGroup[] = []
  let at = 1
  while (at < frame.length) {
    const nameLength = frame[at]!
    const headAt = at + 1 + nameLength
    const from = headAt + groupHeadBytes - 1
    if (from > frame.length) throw new RangeError('a group without its head')
    const count = frame.readUInt32BE(headAt)
    const length = frame.readUInt32BE(headAt + 4)
    const to = from + frame.readUInt32BE(headAt + 8)
    if (to > frame.length) throw new RangeError('a group that is longer than its frame')
    if (length > maxTelemetryFrameBytes) throw new RangeError(`records of ${length} bytes`)
    groups.push({ service: frame.toString('latin1', at + 1, headAt), count, length, bytes: frame.subarray(from, to) })
    at = to
  }
  return groups
}
