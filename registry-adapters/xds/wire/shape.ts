/**
 * Messages of Envoy's API by tables: which fields are read, which have no effect here, and which are refused by name.
 * A field that stands in no table is refused by its number: it is newer than this version.
 */
import { bytesIn, fieldsOf, textOf } from '../../../contracts/envoy-api/protobuf.ts'
import { type Faults, inside } from './faults.ts'

/** How a field is read. `before`: what the same field said earlier in the message. */
export type Kind<T> = (value: Buffer | number, path: string, faults: Faults, before: T | undefined) => T

/** A kind of whatever type. */
type AnyKind = (value: Buffer | number, path: string, faults: Faults, before: never) => unknown

type Fields = Readonly<Record<string, readonly [number: number, kind: AnyKind]>>

/** A message as it is read: what is not there is absent. */
export type Read<F extends Fields> = { readonly [K in keyof F]?: ReturnType<F[K][1]> }

interface Row {
  readonly name: string
  /** Absent = refused; null = without effect here. */
  readonly kind?: AnyKind | null
}

export interface Shape<T> {
  readonly rows: ReadonlyMap<number, Row>
  /** Never there: carries the type. */
  readonly type?: T
}

/** `idle` and `refused`: `name=number` with blanks between them. */
export function shape<const F extends Fields>(fields: F, idle = '', refused = ''): Shape<Read<F>> {
  const rows = new Map<number, Row>()
  for (const [name, [number, kind]] of Object.entries(fields)) rows.set(number, { name, kind })
  for (const [list, row] of [
    [idle, { kind: null }],
    [refused, {}],
  ] as const)
    for (const word of list.split(/\s+/)) {
      const [name = '', number] = word.split('=')
      if (number !== undefined) rows.set(Number(number), { name, ...row })
    }
  return { rows }
}

/** Throws RangeError for what is no message. */
export function readMessage<T>({ rows }: Shape<T>, bytes: Buffer, path: string, faults: Faults): T {
  const made: Record<string, unknown> = {}
  for (const { field, value } of fieldsOf(bytes)) {
    const { name = `field ${field}`, kind } = rows.get(field) ?? {}
    if (kind === undefined) faults.add(inside(path, name), 'not supported')
    else if (kind !== null) made[name] = kind(value, inside(path, name), faults, made[name] as never)
  }
  return made as T
}

export const text: Kind<string> = (value, path, faults) => {
  if (typeof value === 'number') faults.add(path, 'found a number, allowed a text')
  return textOf(value)
}

/** Whole numbers and values of enumerations. */
export const whole: Kind<number> = (value, path, faults) => {
  if (typeof value === 'number') return value
  faults.add(path, 'found no number')
  return 0
}

export const flag: Kind<boolean> = (value, path, faults) => whole(value, path, faults, undefined) !== 0

export const bytes: Kind<Buffer> = (value) => bytesIn(value)

/** It is there; what it says has no effect here. */
export const present: Kind<true> = () => true

/** `google.protobuf.UInt32Value` and its like. */
export const wrapped: Kind<number> = (value, path, faults) =>
  readMessage(wrapper, bytesIn(value), path, faults).value ?? 0
const wrapper = shape({ value: [1, whole] })

export const wrappedFlag: Kind<boolean> = (value, path, faults) => wrapped(value, path, faults, undefined) !== 0

/** ms; of nanoseconds whole milliseconds are left, at least one. */
export const duration: Kind<number> = (value, path, faults) => {
  const { seconds = 0, nanos = 0 } = readMessage(durationShape, bytesIn(value), path, faults)
  if (seconds > maxSeconds) faults.add(path, `found ${seconds} s, allowed at most ${maxSeconds} s`)
  return seconds * 1000 + (nanos === 0 ? 0 : Math.max(1, Math.floor(nanos / 1e6)))
}
const durationShape = shape({ seconds: [1, whole], nanos: [2, whole] })
/** A year; also what is negative is far above it as it stands on the wire. */
const maxSeconds = 31_536_000

export interface Packed {
  readonly type: string
  readonly value: Buffer
}

/** `google.protobuf.Any`. */
export const packed: Kind<Packed> = (value, path, faults) => {
  const { type_url: type = '', value: held = Buffer.alloc(0) } = readMessage(anyShape, bytesIn(value), path, faults)
  return { type: type.slice(type.lastIndexOf('/') + 1), value: held }
}
const anyShape = shape({ type_url: [1, text], value: [2, bytes] })

export function nested<T>(inner: Shape<T>): Kind<T> {
  return (value, path, faults) => {
    if (typeof value === 'number') faults.add(path, 'found a number, allowed a message')
    return readMessage(inner, bytesIn(value), path, faults)
  }
}

export function list<T>(kind: Kind<T>): Kind<T[]> {
  return (value, path, faults, before = []) => {
    before.push(kind(value, `${path}[${before.length}]`, faults, undefined))
    return before
  }
}

/** Numbers, packed or one by one. */
export const wholes: Kind<number[]> = (value, _path, _faults, before = []) => {
  if (typeof value === 'number') before.push(value)
  else for (let at = 0; at < value.length;) at = readVarint(value, at, before)
  return before
}

function readVarint(from: Buffer, start: number, into: number[]): number {
  let value = 0
  for (let at = start, scale = 1; at < from.length && at < start + 10; at++, scale *= 128) {
    value += (from[at]! & 0x7f) * scale
    if (from[at]! < 0x80) {
      into.push(value)
      return at + 1
    }
  }
  throw new RangeError('a number is cut off or too long')
}

/** By key; the last one of a key counts. */
export function entries<T>(kind: Kind<T>): Kind<Map<string, T>> {
  return (value, path, faults, before = new Map<string, T>()) => {
    let key = ''
    let held: Buffer | number = Buffer.alloc(0)
    for (const { field, value: part } of fieldsOf(bytesIn(value)))
      if (field === 1) key = textOf(part)
      else if (field === 2) held = part
    before.set(key, kind(held, `${path}[${JSON.stringify(key.slice(0, 100))}]`, faults, undefined))
    return before
  }
}
