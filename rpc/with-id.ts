import type { RpcCodec } from './codec.ts'
import type { RpcFrame } from './frame.ts'

/** The whole frame `bytes`, which the caller owns, under another id: itself, or a new one where its id has no room. */
export function withId(codec: RpcCodec, bytes: Buffer, frame: RpcFrame, high: number, low: number): Buffer {
  const rebuilt = codec.rebuilt(bytes, 0, bytes.length, frame, high, low)
  if (rebuilt !== null) return rebuilt
  codec.writeId(bytes, 0, bytes.length, frame, high, low)
  return bytes
}
