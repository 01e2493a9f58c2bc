/**
 * Protocol Buffers by hand: the few wire forms that the messages of xDS use. Source:
 * protobuf.dev/programming-guides/encoding.
 */

export type Field = readonly [field: number, value: Buffer | string | number | boolean | readonly Buffer[] | undefined]

/** A message; undefined, 0, '' and false are left out, as proto3 has it. Numbers are whole and not negative. */
export function message(...fields: readonly Field[]): Buffer {
  const parts: Buffer[] = []
  for (const [field, value] of fields) {
    if (value === undefined || value === '' || value === 0 || value === false) continue
    if (typeof value === 'number') parts.push(varint(field * 8), varint(value))
    else if (value === true) parts.push(varint(field * 8), varint(1))
    else
      for (const one of Array.isArray(value) ? (value as readonly Buffer[]) : [bytesOf(value as Buffer | string)])
        parts.push(varint(field * 8 + 2), varint(one.length), one)
  }
  return Buffer.concat(parts)
}

/** Also an empty one counts. */
export function texts(values: Iterable<string>): readonly Buffer[] {
  return [...values].map((value) => Buffer.from(value))
}

/** A double in a message of its own: the value of `google.protobuf.Value`. */
export function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(9)
  bytes[0] = field * 8 + 1
  bytes.writeDoubleLE(value, 1)
  return bytes
}

export interface Read {
  readonly field: number
  /** Length-delimited ones as bytes, all others as a number. */
  readonly value: Buffer | number
}

/** Throws RangeError for what is cut off or no message. */
export function* fieldsOf(bytes: Buffer): Generator<Read> {
  let at = 0
  const number = (): number => {
    let value = 0
    let scale = 1
    for (let read = 0; read < 10; read++) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('the message is cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    throw new RangeError('a number is too long')
  }
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new RangeError('the message is cut off')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = number()
    const field = Math.floor(tag / 8)
    if (field === 0) throw new RangeError('field 0 does not exist')
    switch (tag % 8) {
      case 0:
        yield { field, value: number() }
        break
      case 1:
        yield { field, value: take(8).readDoubleLE() }
        break
      case 2:
        yield { field, value: take(number()) }
        break
      case 5:
        yield { field, value: take(4).readUInt32LE() }
        break
      default:
        throw new RangeError(`wire type ${tag % 8} is not used`)
    }
  }
}

/** '' for what is no text. */
export function textOf(value: Buffer | number): string {
  return typeof value === 'number' ? '' : value.toString()
}

/** Empty for what holds no bytes. */
export function bytesIn(value: Buffer | number): Buffer {
  return typeof value === 'number' ? Buffer.alloc(0) : value
}

function bytesOf(value: Buffer | string): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
