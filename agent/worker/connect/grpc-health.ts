/** grpc.health.v1.Health/Check, two messages of one field each: no generator is needed for them. */
import { grpcFrame } from '../../../contracts/grpc-wire.ts'
import { protoBytes } from '../../../contracts/proto-fields.ts'

export const healthPath = '/grpc.health.v1.Health/Check'

/** A frame of gRPC around a message whose field 1 is the name of a service; '' asks for the whole server. */
export function healthQuestion(service: string): Buffer {
  return grpcFrame(service === '' ? Buffer.alloc(0) : protoBytes(1, service))
}

/** Longer than any answer to it. */
const longestAnswer = 64

/** What came of the answer. Bound: 64 bytes. */
export class HealthAnswer {
  private bytes: Buffer = Buffer.alloc(0)

  take(buf: Buffer, from: number, to: number): void {
    if (this.bytes.length > longestAnswer) return
    this.bytes = Buffer.concat([this.bytes, buf.subarray(from, Math.min(to, from + longestAnswer))])
  }

  /** An uncompressed message of two bytes: field 1, status, is 1 (SERVING). */
  get isServing(): boolean {
    return this.bytes.equals(Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]))
  }
}
