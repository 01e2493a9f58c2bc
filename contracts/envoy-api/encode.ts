/** From plain objects in the words of Envoy's API (`message-form.ts`) to bytes. */
import { messages, type FieldForm, type FieldKind, type Scalar } from './forms.ts'
import type { Plain } from './message-form.ts'
import { varint } from './protobuf.ts'

const typePrefix = 'type.googleapis.com/'

/** What a field that is not undefined holds is written, also a zero. Throws TypeError for a field that is unknown. */
export function encodeMessage(name: string, value: Plain): Buffer {
  const message = messages.get(name)
  if (message === undefined) throw new TypeError(`no message ${name}`)
  const parts: Buffer[] = []
  for (const [field, found] of Object.entries(value)) {
    if (found === undefined) continue
    const form = message.byName.get(field)
    if (form === undefined) throw new TypeError(`${name} has no field ${field}`)
    encodeField(form, found, parts)
  }
  return Buffer.concat(parts)
}

/** A `google.protobuf.Any` with this message in it. */
export function encodeAny(name: string, bytes: Buffer): Buffer {
  return Buffer.concat([...delimited(1, Buffer.from(typeUrlOf(name))), ...delimited(2, bytes)])
}

export function typeUrlOf(name: string): string {
  return `${typePrefix}${name}`
}

function encodeField({ number, count, kind }: FieldForm, value: unknown, parts: Buffer[]): void {
  if (count === 'map') {
    for (const [key, one] of Object.entries(value as Plain))
      parts.push(...delimited(number, Buffer.concat([...delimited(1, Buffer.from(key)), ...encodeOne(2, kind, one)])))
  } else if (count === 'many') for (const one of value as unknown[]) parts.push(...encodeOne(number, kind, one))
  else parts.push(...encodeOne(number, kind, value))
}

function encodeOne(number: number, kind: FieldKind, value: unknown): Buffer[] {
  switch (kind.is) {
    case 'scalar':
      return encodeScalar(number, kind.scalar, value)
    case 'wrapper':
      return delimited(number, Buffer.concat(encodeScalar(1, kind.scalar, value)))
    case 'duration':
      return delimited(number, encodeDuration(value as number))
    case 'struct':
      return delimited(number, encodeStruct(value as Plain))
    case 'any': {
      // already encoded, as `encodeAny` makes it
      if (Buffer.isBuffer(value)) return delimited(number, value)
      const { '@type': name, ...fields } = value as Plain & { '@type': string }
      return delimited(number, encodeAny(name, encodeMessage(name, fields)))
    }
    case 'enum': {
      const known = kind.values.get(value as string)
      if (known === undefined) throw new TypeError(`no value ${String(value)}`)
      return [varint(number * 8), varint(known)]
    }
    case 'message':
      return delimited(number, Buffer.isBuffer(value) ? value : encodeMessage(kind.name, value as Plain))
  }
}

function encodeScalar(number: number, scalar: Scalar, value: unknown): Buffer[] {
  switch (scalar) {
    case 'string':
      return delimited(number, Buffer.from(value as string))
    case 'bytes':
      return delimited(number, value as Buffer)
    case 'bool':
      return [varint(number * 8), varint(value === true ? 1 : 0)]
    case 'uint32':
      return [varint(number * 8), varint(value as number)]
    case 'double': {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(value as number)
      return [varint(number * 8 + 1), bytes]
    }
  }
}

function encodeDuration(ms: number): Buffer {
  const seconds = Math.floor(ms / 1000)
  const nanos = Math.round((ms - seconds * 1000) * 1_000_000)
  return Buffer.concat([varint(8), varint(seconds), varint(16), varint(nanos)])
}

function encodeStruct(value: Plain): Buffer {
  const entries = Object.entries(value).flatMap(([key, one]) =>
    delimited(1, Buffer.concat([...delimited(1, Buffer.from(key)), ...delimited(2, encodeValue(one))])),
  )
  return Buffer.concat(entries)
}

function encodeValue(value: unknown): Buffer {
  if (value === null || value === undefined) return Buffer.from([8, 0])
  if (typeof value === 'number') return Buffer.concat(encodeScalar(2, 'double', value))
  if (typeof value === 'string') return Buffer.concat(encodeScalar(3, 'string', value))
  if (typeof value === 'boolean') return Buffer.concat(encodeScalar(4, 'bool', value))
  if (!Array.isArray(value)) return Buffer.concat(delimited(5, encodeStruct(value as Plain)))
  const list = (value as unknown[]).flatMap((one) => delimited(1, encodeValue(one)))
  return Buffer.concat(delimited(6, Buffer.concat(list)))
}

function delimited(number: number, bytes: Buffer): Buffer[] {
  return [varint(number * 8 + 2), varint(bytes.length), bytes]
}
