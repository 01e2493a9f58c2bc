/**
 * From bytes to plain objects in the words of Envoy's API (`message-form.ts`). Fields that are not written down are
 * passed over, and named to whoever asks: a client must not take for said what it did not understand.
 */
import { messages, type FieldForm, type FieldKind, type Scalar } from './forms.ts'
import type { Plain } from './message-form.ts'
import { bytesIn, fieldsOf, textOf, type Read } from './protobuf.ts'

/** Of messages within messages; more is refused. */
const maxDepth = 32

/**
 * Fields that are absent are absent, as are those of proto3 that hold their default. `onUnknown` hears the path and
 * number of each field that is not written down. Throws RangeError for what is no such message.
 */
export function decodeMessage(name: string, bytes: Buffer, onUnknown?: (path: string, number: number) => void): Plain {
  return new Decoder(onUnknown ?? (() => undefined)).message(name, bytes, '', 0)
}

/** `type.googleapis.com/envoy.config.cluster.v3.Cluster` without what is before the slash. */
export function messageOfTypeUrl(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
}

class Decoder {
  private readonly onUnknown: (path: string, number: number) => void

  constructor(onUnknown: (path: string, number: number) => void) {
    this.onUnknown = onUnknown
  }

  message(name: string, bytes: Buffer, path: string, depth: number): Plain {
    const form = messages.get(name)
    if (form === undefined) throw new RangeError(`${path}: no message ${name}`)
    if (depth > maxDepth) throw new RangeError(`${path}: more than ${maxDepth} messages within each other`)
    const found: Record<string, unknown> = {}
    for (const read of fieldsOf(bytes)) {
      const field = form.byNumber.get(read.field)
      if (field === undefined) this.onUnknown(path, read.field)
      else this.field(found, field, read, path === '' ? field.name : `${path}.${field.name}`, depth)
    }
    return found
  }

  private field(found: Record<string, unknown>, form: FieldForm, { value }: Read, path: string, depth: number): void {
    const { name, count, kind } = form
    if (count === 'one') found[name] = this.one(kind, value, path, depth)
    else if (count === 'many') {
      const list = (found[name] ??= []) as unknown[]
      const isPacked = typeof value !== 'number' && kind.is === 'scalar' && kind.scalar === 'uint32'
      if (isPacked) list.push(...numbersIn(value))
      else list.push(this.one(kind, value, `${path}[${list.length}]`, depth))
    } else {
      const map = (found[name] ??= Object.create(null)) as Record<string, unknown>
      let key = ''
      let inner: Buffer | number = Buffer.alloc(0)
      for (const entry of fieldsOf(bytesIn(value))) {
        if (entry.field === 1) key = textOf(entry.value)
        else if (entry.field === 2) inner = entry.value
      }
      map[key] = this.one(kind, inner, `${path}[${key.slice(0, 200)}]`, depth)
    }
  }

  private one(kind: FieldKind, value: Buffer | number, path: string, depth: number): unknown {
    switch (kind.is) {
      case 'scalar':
        return scalarOf(kind.scalar, value)
      case 'wrapper': {
        let inner: Buffer | number = kind.scalar === 'string' || kind.scalar === 'bytes' ? Buffer.alloc(0) : 0
        for (const read of fieldsOf(bytesIn(value))) if (read.field === 1) inner = read.value
        return scalarOf(kind.scalar, inner)
      }
      case 'duration':
        return durationOf(bytesIn(value))
      case 'struct':
        return structOf(bytesIn(value), path, depth)
      case 'any':
        return this.any(bytesIn(value), path, depth)
      case 'enum':
        return kind.names.get(Number(value)) ?? Number(value)
      case 'message':
        return this.message(kind.name, bytesIn(value), path, depth + 1)
    }
  }

  private any(bytes: Buffer, path: string, depth: number): Plain {
    let typeUrl = ''
    let value = Buffer.alloc(0)
    for (const read of fieldsOf(bytes)) {
      if (read.field === 1) typeUrl = textOf(read.value)
      else if (read.field === 2) value = Buffer.from(bytesIn(read.value))
    }
    const name = messageOfTypeUrl(typeUrl)
    if (!messages.has(name)) return { '@type': name, value }
    return { '@type': name, ...this.message(name, value, path, depth + 1) }
  }
}

function scalarOf(scalar: Scalar, value: Buffer | number): unknown {
  switch (scalar) {
    case 'string':
      return textOf(value)
    case 'bytes':
      return Buffer.from(bytesIn(value))
    case 'bool':
      return value !== 0
    case 'uint32':
    case 'double':
      return Number(value)
  }
}

/** Packed: one number after the other, each as if it were field 1 of its own. */
function numbersIn(bytes: Buffer): number[] {
  const found: number[] = []
  let value = 0
  let scale = 1
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale
    scale *= 128
    if (byte >= 0x80) continue
    found.push(value)
    value = 0
    scale = 1
  }
  return found
}

function durationOf(bytes: Buffer): number {
  let ms = 0
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) ms += Number(value) * 1000
    else if (field === 2) ms += Number(value) / 1_000_000
  }
  return ms
}

function structOf(bytes: Buffer, path: string, depth: number): Plain {
  if (depth > maxDepth) throw new RangeError(`${path}: more than ${maxDepth} messages within each other`)
  const found = Object.create(null) as Record<string, unknown>
  for (const { field, value } of fieldsOf(bytes)) {
    if (field !== 1) continue
    let key = ''
    let inner: unknown = null
    for (const entry of fieldsOf(bytesIn(value))) {
      if (entry.field === 1) key = textOf(entry.value)
      else if (entry.field === 2) inner = valueOf(bytesIn(entry.value), path, depth + 1)
    }
    found[key] = inner
  }
  return found
}

function valueOf(bytes: Buffer, path: string, depth: number): unknown {
  if (depth > maxDepth) throw new RangeError(`${path}: more than ${maxDepth} messages within each other`)
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 2) return Number(value)
    if (field === 3) return textOf(value)
    if (field === 4) return value !== 0
    if (field === 5) return structOf(bytesIn(value), path, depth + 1)
    if (field === 6) return [...fieldsOf(bytesIn(value))].map((one) => valueOf(bytesIn(one.value), path, depth + 1))
  }
  return null
}
