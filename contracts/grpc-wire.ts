/** How gRPC stands in HTTP (grpc/grpc doc/PROTOCOL-HTTP2.md). */

export const grpcType = 'application/grpc'

/** Before each message: a byte of flags and four of its length. */
export const grpcPrefixBytes = 5

export function grpcFrame(message: Buffer, flags = 0): Buffer {
  const prefix = Buffer.alloc(grpcPrefixBytes)
  prefix.writeUInt8(flags, 0)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** The message; undefined where the content is not one frame, whole and without compression. */
export function onlyGrpcMessage(content: Buffer): Buffer | undefined {
  const isOne =
    content.length >= grpcPrefixBytes &&
    content[0] === 0 &&
    content.readUInt32BE(1) === content.length - grpcPrefixBytes
  return isOne ? content.subarray(grpcPrefixBytes) : undefined
}
