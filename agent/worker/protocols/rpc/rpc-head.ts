import type { RpcCodec } from '../../../../rpc/codec.ts'
import { RpcFrame } from '../../../../rpc/frame.ts'

/** A whole frame as the message layer passes it on between two sides of one protocol. */
export class RpcHead {
  codec: RpcCodec
  readonly frame: RpcFrame = new RpcFrame()
  /** The frame is `bytes[from..to)`. */
  bytes: Buffer
  from = 0
  to = 0

  constructor(codec: RpcCodec, bytes: Buffer) {
    this.codec = codec
    this.bytes = bytes
  }
}
