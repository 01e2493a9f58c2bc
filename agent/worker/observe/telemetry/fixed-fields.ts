import { doubleAttributeBytes, integerAttributeBytes } from './attributes.ts'
import { wideVarintBytes } from './proto-bytes.ts'

/**
 * The beginning of every record of one kind: fields that are always there and always as long, so that it is copied
 * whole and its values are set where they stand. Declared once; what declares a field answers its place.
 */
export class FixedFields {
  private readonly bytes: number[] = []

  /** A time or another fixed64; set with `setFixed64`. */
  fixed64(tag: number): number {
    this.bytes.push(tag)
    return this.room(8)
  }

  /** A number below 128; set with `setByte`. */
  small(tag: number): number {
    this.bytes.push(tag)
    return this.room(1)
  }

  /** A field that is the same in all records. */
  constant(...bytes: readonly number[]): void {
    this.bytes.push(...bytes)
  }

  /** An attribute from 0 to 2^53; set with `setVarint`. */
  integer(tag: number, key: string): number {
    this.bytes.push(...integerAttributeBytes(tag, key, wideVarintBytes))
    return this.room(wideVarintBytes)
  }

  /** An attribute that is no whole number; set with `setDouble`. */
  double(tag: number, key: string): number {
    this.bytes.push(...doubleAttributeBytes(tag, key))
    return this.room(8)
  }

  /** Of an id; set with `setHex`. */
  id(tag: number, length: number): number {
    this.bytes.push(tag, length)
    return this.room(length)
  }

  get length(): number {
    return this.bytes.length
  }

  private room(length: number): number {
    const at = this.bytes.length
    for (let index = 0; index < length; index++) this.bytes.push(0)
    return at
  }

  /** As declared, for `putLong`. */
  encoded(): Buffer {
    return Buffer.from(this.bytes)
  }
}
