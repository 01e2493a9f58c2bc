/**
 * A stream of frames between two of our own processes over a unix socket, with the peer's user checked and everything
 * bounded.
 */
import net from 'node:net'
import { MeshError } from '../contracts/errors.ts'
import { FrameReader, encodeFrame } from '../contracts/frame.ts'
import type { Native } from './descriptors.ts'

/** Bytes that may wait for a peer that does not read; beyond it the stream is closed with E_WIRE. */
const maxWaitingBytes = 64 * 1024 * 1024

export interface FrameStreamHooks {
  /** Any JSON object; the caller checks the shape. */
  onMessage(message: Readonly<Record<string, unknown>>): void
  /** Called once. `reason` is undefined for an orderly end. */
  onClose(reason: Error | undefined): void
}

export interface FrameStream {
  readonly isOpen: boolean
  /** From the kernel; undefined where it cannot be asked. */
  readonly peerPid: number | undefined
  /** Never throws; on a closed stream it does nothing. */
  send(message: object): void
  /** Sends what waits, then closes. */
  end(): void
  /** Closes at once; `onClose` is not called. */
  close(): void
}

/** Takes over a connected socket. Answers undefined, and closes it, when the peer is neither our user nor root. */
export function frameStream(
  socket: net.Socket,
  limit: number,
  native: Native | undefined,
  hooks: FrameStreamHooks,
): FrameStream | undefined {
  const peer = native?.peerCredentials(descriptorOf(socket))
  if (peer !== undefined && peer.uid !== 0 && peer.uid !== process.getuid?.()) {
    socket.on('error', () => {})
    socket.destroy()
    return undefined
  }
  const reader = new FrameReader(limit)
  let isOpen = true
  const finish = (reason: Error | undefined): void => {
    if (!isOpen) return
    isOpen = false
    socket.destroy()
    hooks.onClose(reason)
  }
  socket.on('data', (chunk: Buffer) => {
    let messages: unknown[]
    try {
      messages = reader.push(chunk)
    } catch (error) {
      finish(error as Error)
      return
    }
    for (const message of messages) {
      if (!isOpen) return
      hooks.onMessage(message as Readonly<Record<string, unknown>>)
    }
  })
  socket.on('error', finish)
  socket.on('close', () => finish(undefined))
  return {
    get isOpen() {
      return isOpen
    },
    peerPid: peer?.pid,
    send(message) {
      if (!isOpen) return
      if (socket.writableLength > maxWaitingBytes) {
        finish(
          new MeshError(
            'E_WIRE',
            `peer does not read: ${socket.writableLength} bytes wait, allowed ${maxWaitingBytes}`,
          ),
        )
        return
      }
      socket.write(encodeFrame(message))
    },
    end() {
      if (isOpen) socket.end()
    },
    close() {
      isOpen = false
      socket.destroy()
    },
  }
}

/** Dials a stream socket of the run directory. Rejects with the system's error. */
export async function dialFrames(
  path: string,
  limit: number,
  native: Native | undefined,
  hooks: FrameStreamHooks,
): Promise<FrameStream> {
  const socket = await new Promise<net.Socket>((resolve, reject) => {
    const dialed = net.connect(path)
    dialed.once('connect', () => {
      dialed.removeListener('error', reject)
      resolve(dialed)
    })
    dialed.once('error', reject)
  })
  const stream = frameStream(socket, limit, native, hooks)
  if (stream === undefined) throw new MeshError('E_RUN_DIRECTORY', `${path}: answered by another user; not used`)
  return stream
}

/** Number of a socket's descriptor, -1 when it has none (any more). */
export function descriptorOf(socket: net.Socket | net.Server): number {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd?: number } | null }
  return handle?.fd ?? -1
}
