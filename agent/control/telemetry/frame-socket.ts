/**
 * A worker's stream of frames (`contracts/telemetry.ts`), read into one memory: Node's own way takes new memory for
 * each read, and at tens of MB/s a third of control's time went into collecting it.
 */
import { Socket } from 'node:net'
import { frameHeadBytes, maxTelemetryFrameBytes } from '../../../contracts/telemetry.ts'

const lengthBytes = 4
const firstBytes = 64 * 1024

export interface FrameOwner {
  /** A frame without its length, until this returns. False = no more until `resume`. May throw: the stream is over. */
  onFrame(frame: Buffer): boolean
  /** It said what is no frame, or `onFrame` threw. */
  onBroken(reason: string): void
  /** Once, whatever the reason. */
  onClosed(): void
}

/** Node hides the handle of what was accepted; a socket of ours takes it over. */
interface WithHandle {
  _handle: object | null | undefined
}

export class FrameSocket {
  private readonly owner: FrameOwner
  private readonly socket: Socket
  private memory = Buffer.allocUnsafeSlow(firstBytes)
  private held = 0

  /** @param accepted with `pauseOnConnect`; not to be used any more. */
  constructor(accepted: Socket, owner: FrameOwner) {
    this.owner = owner
    this.socket = this.takeOver(accepted)
    this.socket.on('error', () => this.socket.destroy())
    this.socket.on('close', () => owner.onClosed())
    this.socket.resume()
  }

  private takeOver(accepted: Socket): Socket {
    const { _handle: handle } = accepted as unknown as WithHandle
    if (handle === null || handle === undefined) {
      accepted.on('data', (chunk: Buffer) => this.copied(chunk))
      return accepted
    }
    ;(accepted as unknown as WithHandle)._handle = null
    accepted.destroy()
    const onread = {
      buffer: () => this.room(),
      callback: (count: number) => this.came(count),
    }
    return new Socket({ handle, onread, manualStart: true } as unknown as ConstructorParameters<typeof Socket>[0])
  }

  private room(): Buffer {
    return this.memory.subarray(this.held)
  }

  /** Where the handle cannot be had. */
  private copied(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.socket.destroyed;) {
      const count = chunk.copy(this.memory, this.held, at)
      at += count
      if (!this.came(count)) this.socket.pause()
    }
  }

  /** Answers whether more may come. */
  private came(count: number): boolean {
    this.held += count
    try {
      return this.readFrames()
    } catch (error) {
      this.owner.onBroken(error instanceof Error ? error.message : String(error))
      this.socket.destroy()
      return false
    }
  }

  private readFrames(): boolean {
    let at = 0
    let isWanted = true
    let wanted = 0
    while (this.held - at >= lengthBytes) {
      wanted = lengthBytes + frameLength(this.memory, at)
      if (this.held - at < wanted) break
      if (!this.owner.onFrame(this.memory.subarray(at + lengthBytes, at + wanted))) isWanted = false
      at += wanted
      wanted = 0
    }
    this.makeRoom(at, wanted)
    return isWanted
  }

  /** Moves the beginning of a frame to the front, and makes sure that the whole has room. */
  private makeRoom(from: number, wanted: number): void {
    const left = this.held - from
    if (wanted > this.memory.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(lengthBytes + maxTelemetryFrameBytes, Math.max(wanted, 2 * this.memory.length)),
      )
      this.memory.copy(larger, 0, from, this.held)
      this.memory = larger
    } else if (from > 0) this.memory.copy(this.memory, 0, from, this.held)
    this.held = left
  }

  resume(): void {
    this.socket.resume()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at)
  if (length < frameHeadBytes - lengthBytes || length > maxTelemetryFrameBytes)
    throw new RangeError(`a frame of ${length} bytes, allowed ${maxTelemetryFrameBytes}`)
  return length
}
