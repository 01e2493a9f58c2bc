import type { RpcCodec } from '../../../../rpc/codec.ts'
import type { RpcFrame } from '../../../../rpc/frame.ts'
import type { RpcWriter } from './writer.ts'

/** Puts the whole frame `bytes[from..to)` among what is written in this turn, under another id. */
export function writeFrame(
  writer: RpcWriter,
  codec: RpcCodec,
  bytes: Buffer,
  from: number,
  to: number,
  frame: RpcFrame,
  high: number,
  low: number,
): void {
  const out = writer.open()
  const rebuilt = codec.rebuilt(bytes, from, to, frame, high, low)
  if (rebuilt === null) {
    const at = out.length
    out.copy(bytes, from, to)
    codec.writeId(out.bytes, at, out.length, frame, high, low)
  } else {
    out.append(rebuilt)
  }
  writer.afterFrame()
}
