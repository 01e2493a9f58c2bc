/** Reads header blocks of one peer (RFC 7541). */
import { latin1Slice } from '../../../../../http1/latin1.ts'
import { DynamicTable } from './dynamic-table.ts'
import { Field, FieldName } from './field.ts'
import { huffmanDecode } from './huffman.ts'
import type { NameTable } from './names.ts'
import { staticFields } from './static-table.ts'

/** Size of the table that a peer may use before it heard of our SETTINGS. */
export const defaultTableBytes = 4096
/** No integer of a block that we accept is larger, so more continuation bytes are malformed. */
const largestInteger = 0x1fffffff

/** Who gets the fields of a block, in their order. */
export interface FieldSink {
  /** False = no more of them is wanted: the rest of the block is read only for what it does to the table. */
  onField(field: Field): boolean
}

const names = new Map<string, FieldName>()
const staticEntries: readonly Field[] = staticFields.map(([name, value]) => {
  const known = names.get(name) ?? new FieldName(name)
  names.set(name, known)
  return new Field(known, value, false)
})
const staticNames: readonly FieldName[] = staticFields.map(([name]) => names.get(name)!)

/**
 * Decoder of one connection. What it holds is bounded by the size of the table, which we announce and which the peer
 * may only lower; a string is bounded by the block that holds it.
 */
export class HpackDecoder {
  readonly table: DynamicTable
  private readonly names: NameTable
  /** Where Huffman strings are unpacked; of all decoders of a worker. */
  private readonly scratch: Scratch
  /** The largest table that the peer may choose. */
  private readonly tableBytes: number
  private at = 0
  private buf: Buffer = noBytes
  private end = 0
  private isBroken = false

  constructor(names: NameTable, scratch: Scratch, tableBytes: number = defaultTableBytes) {
    this.names = names
    this.scratch = scratch
    this.tableBytes = tableBytes
    this.table = new DynamicTable(tableBytes)
  }

  /** Reads one whole block. False = it cannot be read, and neither can any block behind it (COMPRESSION_ERROR). */
  decode(buf: Buffer, from: number, to: number, sink: FieldSink): boolean {
    this.buf = buf
    this.at = from
    this.end = to
    this.isBroken = false
    let isWanted = true
    let isFirst = true
    while (this.at < to) {
      const byte = buf[this.at]!
      let field: Field | null
      if (byte >= 0x80) {
        field = this.indexed(this.integer(0x7f))
      } else if (byte >= 0x40) {
        field = this.literal(this.integer(0x3f), false)
        if (field !== null) this.table.add(field)
      } else if (byte >= 0x20) {
        if (!isFirst || !this.resize(this.integer(0x1f))) return this.forget(false)
        continue
      } else {
        field = this.literal(this.integer(0x0f), byte >= 0x10)
      }
      if (field === null) return this.forget(false)
      isFirst = false
      if (isWanted) isWanted = sink.onField(field)
    }
    return this.forget(true)
  }

  /** Fills the table with what another decoder of the same peer held. */
  restore(maxSize: number, fields: readonly (readonly [name: string, value: string])[]): void {
    this.table.resize(maxSize)
    for (const [name, value] of fields) {
      const bytes = Buffer.from(name, 'latin1')
      this.table.add(new Field(this.names.get(bytes, 0, bytes.length), value, false))
    }
  }

  private forget(isRead: boolean): boolean {
    this.buf = noBytes
    return isRead
  }

  private indexed(index: number): Field | null {
    if (this.isBroken || index === 0) return null
    if (index <= staticEntries.length) return staticEntries[index - 1]!
    return this.table.at(index - staticEntries.length - 1) ?? null
  }

  private literal(index: number, isNever: boolean): Field | null {
    if (this.isBroken) return null
    let name: FieldName
    if (index === 0) {
      const length = this.string()
      if (length < 0) return null
      name = this.names.get(this.source, this.start, this.start + length)
    } else if (index <= staticNames.length) {
      name = staticNames[index - 1]!
    } else {
      const known = this.table.at(index - staticEntries.length - 1)
      if (known === undefined) return null
      name = known.fieldName
    }
    const length = this.string()
    if (length < 0) return null
    return new Field(name, latin1Slice(this.source, this.start, this.start + length), isNever)
  }

  private resize(size: number): boolean {
    if (this.isBroken || size > this.tableBytes) return false
    this.table.resize(size)
    return true
  }

  /** Where the last string lies. */
  private source: Buffer = noBytes
  private start = 0

  /** Length of the string that was read, -1 = malformed. */
  private string(): number {
    if (this.at >= this.end) return -1
    const isHuffman = this.buf[this.at]! >= 0x80
    const length = this.integer(0x7f)
    const from = this.at
    if (this.isBroken || length > this.end - from) return -1
    this.at = from + length
    if (!isHuffman) {
      this.source = this.buf
      this.start = from
      return length
    }
    const bytes = this.scratch.room(Math.ceil((length * 8) / 5))
    const end = huffmanDecode(this.buf, from, from + length, bytes, 0)
    this.source = bytes
    this.start = 0
    return end
  }

  /** RFC 7541 section 5.1; `mask`: the bits of the prefix. */
  private integer(mask: number): number {
    const { buf, end } = this
    let value = buf[this.at++]! & mask
    if (value < mask) return value
    for (let shift = 0; ; shift += 7) {
      if (this.at >= end || shift > 28) break
      const byte = buf[this.at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (value > largestInteger) break
      if (byte < 0x80) return value
    }
    this.isBroken = true
    return 0
  }
}

const noBytes = Buffer.alloc(0)

/** Memory that grows to what is asked of it. */
export class Scratch {
  private bytes: Buffer = Buffer.allocUnsafeSlow(4096)

  room(count: number): Buffer {
    if (count > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(count)
    return this.bytes
  }
}
