/**
 * Writes header blocks. Stateless: the static table, and literals that ask for no table entry, without Huffman. That
 * costs 40 to 80 bytes per head on the wire and leaves nothing that would have to move with a connection; measured, an
 * encoder with a table was no faster.
 */
import type { Output } from '../../../transport/output.ts'
import type { Field } from './field.ts'
import { staticNames } from './static-table.ts'

const indexed = 0x80
const literal = 0x00
const literalNever = 0x10
const resizeToNothing = 0x20
const status = staticNames.get(':status')!

/** An integer behind the upper bits of its first byte (RFC 7541 section 5.1). `mask`: the bits that are its own. */
function integer(out: Output, upper: number, mask: number, value: number): void {
  out.room(6)
  const { bytes } = out
  if (value < mask) {
    bytes[out.length++] = upper | value
    return
  }
  bytes[out.length++] = upper | mask
  let rest = value - mask
  for (; rest >= 0x80; rest >>>= 7) bytes[out.length++] = (rest & 0x7f) | 0x80
  bytes[out.length++] = rest
}

function text(out: Output, value: string): void {
  integer(out, 0, 0x7f, value.length)
  out.latin1(value)
}

/**
 * Tells the peer's decoder that its table is not used. Due at the start of the first block, and of the first behind
 * SETTINGS that speak of the table (RFC 7541 section 4.2).
 */
export function writeTableReset(out: Output): void {
  out.room(1)
  out.bytes[out.length++] = resizeToNothing
}

/** `name` in lower case; name and value in one byte per character. */
export function writeField(out: Output, name: string, value: string, isNever: boolean = false): void {
  const known = staticNames.get(name)
  if (known !== undefined) {
    const { index, values } = known
    for (let i = 0; i < values.length && !isNever; i++) {
      if (values[i] !== value) continue
      integer(out, indexed, 0x7f, index + i)
      return
    }
    integer(out, isNever ? literalNever : literal, 0x0f, index)
  } else {
    out.room(1)
    out.bytes[out.length++] = isNever ? literalNever : literal
    text(out, name)
  }
  text(out, value)
}

/** A field as it was read from another connection. */
export function writeKnownField(out: Output, field: Field): void {
  if (field.wire !== null) {
    out.append(field.wire)
    return
  }
  const from = out.length
  writeField(out, field.name, field.value, field.isNever)
  if (field.isWritten) field.wire = Buffer.from(out.bytes.subarray(from, out.length))
  field.isWritten = true
}

const indexOfStatus: readonly number[] = Array.from(
  { length: 600 },
  (_, code) => status.index + status.values.indexOf(String(code)),
).map((index) => (index < status.index ? 0 : index))

/** `code`: 100 to 599. */
export function writeStatus(out: Output, code: number): void {
  const index = indexOfStatus[code] ?? 0
  if (index > 0) {
    out.room(1)
    out.bytes[out.length++] = indexed | index
    return
  }
  integer(out, literal, 0x0f, status.index)
  text(out, String(code))
}
