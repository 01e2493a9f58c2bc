/**
 * Attributes as pairs of strings, each behind its length of four bytes (big-endian): what SOFA's Bolt carries. A
 * length of -1 is a string that is not there.
 */
import { FrameFault, frameBounds } from './frame.ts'
import { isSameName } from './names.ts'
import type { Names } from './names.ts'
import type { AttributeEdits, AttributeVisitor } from './codec.ts'

/** Called with the places of one pair; an absent value is empty. */
export type PairVisitor = (nameFrom: number, nameTo: number, valueFrom: number, valueTo: number) => void

/** Length of the string at `at`; -1 = absent, below that: it does not fit before `to`. */
function lengthAt(buf: Buffer, at: number, to: number): number {
  if (at + 4 > to) return -2
  const length = (buf[at]! << 24) | (buf[at + 1]! << 16) | (buf[at + 2]! << 8) | buf[at + 3]!
  if (length < 0) return length === -1 ? -1 : -2
  return at + 4 + length > to ? -2 : length
}

/** Walks the table `buf[from..to)`. 0, or a `FrameFault`. */
function eachPair(buf: Buffer, from: number, to: number, visit: PairVisitor): number {
  if (to - from > frameBounds.tableBytes) return FrameFault.string
  let at = from
  for (let count = 0; at < to; count++) {
    if (count >= frameBounds.attributes) return FrameFault.string
    const nameLength = lengthAt(buf, at, to)
    if (nameLength < -1) return FrameFault.table
    const nameFrom = at + 4
    const nameTo = nameFrom + Math.max(0, nameLength)
    const valueLength = lengthAt(buf, nameTo, to)
    if (valueLength < -1) return FrameFault.table
    const valueFrom = nameTo + 4
    at = valueFrom + Math.max(0, valueLength)
    visit(nameFrom, nameTo, valueFrom, at)
  }
  return 0
}

/** First value of `name`, in lower case; undefined where it is absent, or behind the place where a table is broken. */
export function findInTable(buf: Buffer, from: number, to: number, name: string): string | undefined {
  let at = from
  while (at < to) {
    const nameLength = lengthAt(buf, at, to)
    if (nameLength < -1) return undefined
    const nameFrom = at + 4
    const nameTo = nameFrom + Math.max(0, nameLength)
    const valueLength = lengthAt(buf, nameTo, to)
    if (valueLength < -1) return undefined
    at = nameTo + 4 + Math.max(0, valueLength)
    if (valueLength >= 0 && isSameName(buf, nameFrom, nameTo, name)) return buf.toString('utf8', nameTo + 4, at)
  }
  return undefined
}

export function visitTable(buf: Buffer, from: number, to: number, names: Names, visit: AttributeVisitor): void {
  eachPair(buf, from, to, (nameFrom, nameTo, valueFrom, valueTo) => {
    visit(names.get(buf, nameFrom, nameTo).toLowerCase(), buf.toString('utf8', valueFrom, valueTo))
  })
}

/** The table with changed attributes; those that stay keep their bytes. */
export function editedTable(buf: Buffer, from: number, to: number, edits: AttributeEdits): Buffer {
  const parts: Buffer[] = []
  eachPair(buf, from, to, (nameFrom, nameTo, _valueFrom, valueTo) => {
    const isDropped = edits.drop.size > 0 && edits.drop.has(buf.toString('utf8', nameFrom, nameTo).toLowerCase())
    if (!isDropped) parts.push(buf.subarray(nameFrom - 4, valueTo))
  })
  for (const [name, value] of edits.add) parts.push(pairBytes(name, value))
  return Buffer.concat(parts)
}

export function pairBytes(name: string, value: string): Buffer {
  const nameLength = Buffer.byteLength(name)
  const valueLength = Buffer.byteLength(value)
  const made = Buffer.allocUnsafe(8 + nameLength + valueLength)
  made.writeInt32BE(nameLength, 0)
  made.write(name, 4, 'utf8')
  made.writeInt32BE(valueLength, 4 + nameLength)
  made.write(value, 8 + nameLength, 'utf8')
  return made
}
