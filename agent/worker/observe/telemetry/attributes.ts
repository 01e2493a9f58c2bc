import type { ProtoBytes } from './proto-bytes.ts'

/** Longest value of an attribute, in characters; a longer one is cut. */
export const maxValueLength = 1024

const keyTag = 0x0a
const valueTag = 0x12
const textTag = 0x0a
const integerTag = 0x18
const doubleTag = 0x21

/** An attribute of one kind of record (`KeyValue` of OpenTelemetry): its key is encoded once. */
export class Attribute {
  private readonly tag: number
  private readonly prefix: Buffer

  /** @param tag of the field that lists attributes in the record. @param key ASCII, at most 64 characters. */
  constructor(tag: number, key: string) {
    this.tag = tag
    this.prefix = Buffer.from([keyTag, key.length, ...Buffer.from(key, 'latin1'), valueTag])
  }

  text(into: ProtoBytes, value: string): void {
    into.byte(this.tag)
    const whole = into.openShort()
    into.put(this.prefix)
    const inner = into.openShort()
    into.byte(textTag)
    into.text(value, maxValueLength)
    into.closeShort(inner)
    into.closeShort(whole)
  }

  /** From 0 to 2^53. */
  integer(into: ProtoBytes, value: number): void {
    into.byte(this.tag)
    const whole = into.openShort()
    into.put(this.prefix)
    const inner = into.openShort()
    into.byte(integerTag)
    into.varint(value)
    into.closeShort(inner)
    into.closeShort(whole)
  }

  double(into: ProtoBytes, value: number): void {
    into.byte(this.tag)
    const whole = into.openShort()
    into.put(this.prefix)
    into.byte(9)
    into.byte(doubleTag)
    into.double(value)
    into.closeShort(whole)
  }
}
