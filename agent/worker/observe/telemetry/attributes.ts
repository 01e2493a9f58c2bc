import type { LoggedRequest } from '../logged-request.ts'
import type { ProtoBytes } from './proto-bytes.ts'

/** Longest value of an attribute, in characters; a longer one is cut. */
export const maxValueLength = 1024

const keyTag = 0x0a
const valueTag = 0x12
const textTag = 0x0a
const integerTag = 0x18
const doubleTag = 0x21
const questionMark = 0x3f

/** What stands in front of the number of an attribute that takes `width` bytes as a varint. `key`: see `Attribute`. */
export function integerAttributeBytes(tag: number, key: string, width: number): number[] {
  return [tag, key.length + width + 5, ...keyBytes(key), width + 1, integerTag]
}

/** The same of a floating-point number. */
export function doubleAttributeBytes(tag: number, key: string): number[] {
  return [tag, key.length + 13, ...keyBytes(key), 9, doubleTag]
}

function keyBytes(key: string): number[] {
  return [keyTag, key.length, ...Buffer.from(key, 'latin1'), valueTag]
}

/**
 * An attribute of one kind of record (`KeyValue` of OpenTelemetry): what stands around its value is encoded once, and
 * the lengths are set when it is known.
 */
export class Attribute {
  private readonly tag: number
  private readonly key: Uint8Array
  /** Tag, length of the whole, key, length of the value, tag of a text, its length. */
  private readonly frame: Uint8Array

  /** @param tag of the field that lists attributes in the record. @param key ASCII, at most 64 characters. */
  constructor(tag: number, key: string) {
    this.tag = tag
    this.key = Buffer.from(keyBytes(key))
    this.frame = Buffer.from([tag, 0, 0, ...this.key, 0, 0, textTag, 0, 0])
  }

  text(into: ProtoBytes, value: string): void {
    const at = into.length
    into.put(this.frame)
    into.characters(value, maxValueLength)
    this.close(into, at)
  }

  /** The path and the query of a request, as one. Answers where they begin. */
  target(into: ProtoBytes, request: LoggedRequest): number {
    const at = into.length
    into.put(this.frame)
    const length = request.copyTarget?.(into.bytes, into.length, maxValueLength) ?? -1
    if (length >= 0) into.length += length
    else putTarget(into, request, maxValueLength)
    this.close(into, at)
    return at + this.frame.length
  }

  /** Room for a text of that length, `headBytes` behind the beginning. */
  room(into: ProtoBytes, length: number): void {
    const at = into.length
    into.put(this.frame)
    into.length += length
    this.close(into, at)
  }

  /** What stands in front of a text. */
  get headBytes(): number {
    return this.frame.length
  }

  /** @param value ASCII, at most 1024 characters. */
  ascii(into: ProtoBytes, value: Uint8Array): void {
    const at = into.length
    into.put(this.frame)
    into.put(value)
    this.close(into, at)
  }

  private close(into: ProtoBytes, at: number): void {
    const end = at + this.frame.length
    const length = into.length - end
    into.setShort(at + 1, into.length - at - 3)
    into.setShort(end - 5, length + 3)
    into.setShort(end - 2, length)
  }

  /** From 0 to 2^53. */
  integer(into: ProtoBytes, value: number): void {
    into.byte(this.tag)
    const whole = into.openShort()
    into.put(this.key)
    const inner = into.openShort()
    into.byte(integerTag)
    into.varint(value)
    into.closeShort(inner)
    into.closeShort(whole)
  }
}

/** At most `most` characters of its path and its query. */
export function putTarget(into: ProtoBytes, { barePath, query }: LoggedRequest, most: number): void {
  into.characters(barePath, most)
  if (query === '' || barePath.length >= most) return
  into.byte(questionMark)
  into.characters(query, most - barePath.length - 1)
}
