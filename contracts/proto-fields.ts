/**
 * Small protobuf messages by hand (protobuf.dev/programming-guides/encoding): bounded by the bytes that are given,
 * unknown fields are passed over.
 */
export interface ProtoField {
  readonly number: number
  /** A varint or a fixed field: its number, lossy beyond 2^53. */
  readonly value: number
  /** Of a field with a length; empty for others. */
  readonly bytes: Buffer
}

const none = Buffer.alloc(0)

/** Throws a RangeError for what is no message. */
export function* protoFields(message: Buffer): Generator<ProtoField> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= message.length) throw new RangeError('a number ends in the middle')
      const byte = message[at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number is too long')
  }
  const take = (length: number): Buffer => {
    if (length > message.length - at) throw new RangeError('a field ends in the middle')
    at += length
    return message.subarray(at - length, at)
  }
  while (at < message.length) {
    const key = varint()
    const number = Math.floor(key / 8)
    switch (key % 8) {
      case 0:
        yield { number, value: varint(), bytes: none }
        break
      case 1:
        yield { number, value: Number(take(8).readBigUInt64LE()), bytes: none }
        break
      case 2:
        yield { number, value: 0, bytes: take(varint()) }
        break
      case 5:
        yield { number, value: take(4).readUInt32LE(), bytes: none }
        break
      default:
        throw new RangeError(`wire type ${key % 8}`)
    }
  }
}

/** One field with a length: a string, bytes or a message. `number` below 16. */
export function protoBytes(number: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([protoHead(number, bytes.length), bytes])
}

/** One field that is a message of these fields. `number` below 16. */
export function protoMessage(number: number, parts: readonly Uint8Array[]): Buffer {
  return protoBytes(number, Buffer.concat(parts))
}

/** The last word of a message on a field that is a number; 0 = none. Throws as `protoFields`. */
export function protoNumberIn(bytes: Buffer, number: number): number {
  let found = 0
  for (const field of protoFields(bytes)) if (field.number === number) found = field.value
  return found
}

/** What stands before the bytes of a field with a length. `number` below 16. */
export function protoHead(number: number, length: number): Buffer {
  return tagged(number * 8 + 2, length)
}

/** One field that is a whole number from 0 on. `number` below 16. */
export function protoNumber(number: number, value: number): Buffer {
  return tagged(number * 8, value)
}

function tagged(tag: number, value: number): Buffer {
  const bytes = [tag]
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}
