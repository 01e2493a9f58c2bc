import type { RpcCodec } from './codec.ts'
import { FrameFault } from './frame.ts'

const nothing = Buffer.alloc(0)

/** Stands for a protocol that nobody describes: no frame is one of it. */
export class UnknownCodec implements RpcCodec {
  readonly name: string
  readonly idBits = 31

  constructor(name: string) {
    this.name = name
  }

  measure(_buf: Buffer, at: number, end: number): number {
    return at === end ? 0 : FrameFault.magic
  }
  read(): number {
    return FrameFault.magic
  }
  rebuilt(): null {
    return null
  }
  writeId(): void {}
  attribute(): undefined {
    return undefined
  }
  eachAttribute(): void {}
  edited(): null {
    return null
  }
  errorReply(): Buffer {
    return nothing
  }
  heartbeatReply(): Buffer {
    return nothing
  }
  heartbeat(): null {
    return null
  }
  goAway(): null {
    return null
  }
  detect(): number {
    return -1
  }
}
