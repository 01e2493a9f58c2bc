import { wireText } from '../../../../contracts/wire-text.ts'
import type { RpcCodec } from '../../../../rpc/codec.ts'
import type { FieldVisitor, ReplyMessage } from '../../forward/streams.ts'
import { RpcHead } from './rpc-head.ts'

const noBytes = Buffer.alloc(0)

/** A reply in private RPC: a whole frame where it was read. Lives with the stream whose replies it tells. */
export class RpcReply implements ReplyMessage {
  readonly hasContent = false
  readonly wire: RpcHead

  constructor(codec: RpcCodec) {
    this.wire = new RpcHead(codec, noBytes)
  }

  get contentLength(): number {
    return this.wire.to - this.wire.from
  }
  get status(): number {
    return this.wire.frame.status
  }

  header(name: string): string | undefined {
    const { bytes, codec, frame, from } = this.wire
    const found = codec.attribute(bytes, from, frame, name)
    return found === undefined ? undefined : wireText(found)
  }

  eachField(visit: FieldVisitor): void {
    const { bytes, codec, frame, from } = this.wire
    codec.eachAttribute(bytes, from, frame, (name, value) => visit(name, wireText(value)))
  }
}

/** What the sender of a request without a reply is told, which is nothing. */
export const silence: ReplyMessage = {
  status: 200,
  hasContent: false,
  contentLength: 0,
  header: () => undefined,
  eachField() {},
  wire: null,
}
