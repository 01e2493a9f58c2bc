/**
 * A reader of Hessian 2 that walks over values and makes none: what a frame of Dubbo needs so that its attachments are
 * found behind the arguments. It knows no class, follows no reference, and stops at its bounds. Source: Hessian 2.0
 * Serialization Protocol.
 */
import { frameBounds } from '../frame.ts'

/** Values of one frame that are walked over. */
const maxValues = 4096

/** Walks over `buf[at..end)`. A method answers false where the bytes are none of Hessian, or a bound is reached. */
export class HessianWalk {
  at = 0
  /** Of the string that `string` read last. */
  textFrom = 0
  textTo = 0
  private buf: Buffer = Buffer.alloc(0)
  private end = 0
  private values = 0
  /** How many fields each class has that was defined so far. */
  private readonly classes: number[] = []

  begin(buf: Buffer, at: number, end: number): void {
    this.buf = buf
    this.at = at
    this.end = end
    this.values = 0
    this.classes.length = 0
  }

  get isAtEnd(): boolean {
    return this.at >= this.end
  }

  /** The next tag, or -1. */
  peek(): number {
    return this.at < this.end ? this.buf[this.at]! : -1
  }

  /** A string in one piece, or null, which is an empty range. */
  string(): boolean {
    const tag = this.peek()
    if (tag === 0x4e) {
      this.at++
      this.textFrom = this.at
      this.textTo = this.at
      return true
    }
    const chars = this.stringLength(tag)
    if (chars < 0) return false
    this.textFrom = this.at
    if (!this.chars(chars)) return false
    this.textTo = this.at
    return true
  }

  /** Characters of a final piece; `at` is behind its length. -1 = it is none. */
  private stringLength(tag: number): number {
    const { at, buf, end } = this
    if (tag >= 0 && tag <= 0x1f) {
      this.at = at + 1
      return tag
    }
    if (tag >= 0x30 && tag <= 0x33 && at + 1 < end) {
      this.at = at + 2
      return ((tag - 0x30) << 8) | buf[at + 1]!
    }
    if (tag === 0x53 && at + 2 < end) {
      this.at = at + 3
      return (buf[at + 1]! << 8) | buf[at + 2]!
    }
    return -1
  }

  /** Moves over so many UTF-16 units, written as UTF-8 or as pairs of three bytes. */
  private chars(count: number): boolean {
    const { buf, end } = this
    let at = this.at
    for (let left = count; left > 0; left--) {
      if (at >= end) return false
      const lead = buf[at]!
      if (lead < 0x80) at += 1
      else if (lead >= 0xc0 && lead < 0xe0) at += 2
      else if (lead >= 0xe0 && lead < 0xf0) at += 3
      else if (lead >= 0xf0 && lead < 0xf8) {
        at += 4
        left--
      } else return false
    }
    if (at > end) return false
    this.at = at
    return true
  }

  /** Over one value, whatever it is. */
  skip(depth = 0): boolean {
    if (depth > frameBounds.depth || ++this.values > maxValues || this.at >= this.end) return false
    const tag = this.buf[this.at]!
    const fixed = fixedBytes(tag)
    if (fixed > 0) return this.over(fixed)
    if (tag <= 0x1f || (tag >= 0x30 && tag <= 0x33) || tag === 0x53) return this.string()
    if (tag === 0x52) return this.pieces(0x52, depth)
    if (tag >= 0x20 && tag <= 0x2f) return this.over(1 + tag - 0x20)
    if (tag >= 0x34 && tag <= 0x37) return this.at + 1 < this.end && this.over(2 + this.wide(tag - 0x34))
    if (tag === 0x42) return this.at + 2 < this.end && this.over(3 + this.length16())
    if (tag === 0x41) return this.pieces(0x41, depth)
    return this.skipCompound(tag, depth)
  }

  private skipCompound(tag: number, depth: number): boolean {
    this.at++
    if (tag === 0x43) return this.defineClass() && this.skip(depth)
    if (tag === 0x4f) return this.int() && this.objectFields(this.lastInt, depth)
    if (tag >= 0x60 && tag <= 0x6f) return this.objectFields(tag - 0x60, depth)
    if (tag === 0x51) return this.int()
    if (tag === 0x48) return this.untilEnd(2, depth)
    if (tag === 0x4d) return this.type() && this.untilEnd(2, depth)
    if (tag === 0x55) return this.type() && this.untilEnd(1, depth)
    if (tag === 0x57) return this.untilEnd(1, depth)
    if (tag === 0x56) return this.type() && this.int() && this.many(this.lastInt, depth)
    if (tag === 0x58) return this.int() && this.many(this.lastInt, depth)
    if (tag >= 0x70 && tag <= 0x77) return this.type() && this.many(tag - 0x70, depth)
    if (tag >= 0x78 && tag <= 0x7f) return this.many(tag - 0x78, depth)
    return false
  }

  private over(count: number): boolean {
    this.at += count
    return this.at <= this.end
  }

  private wide(high: number): number {
    return (high << 8) | this.buf[this.at + 1]!
  }

  private length16(): number {
    return (this.buf[this.at + 1]! << 8) | this.buf[this.at + 2]!
  }

  /** Pieces of a long string or of bytes, and the final one behind them. */
  private pieces(tag: number, depth: number): boolean {
    while (this.peek() === tag) {
      if (++this.values > maxValues || this.at + 2 >= this.end) return false
      const length = this.length16()
      this.at += 3
      if (tag === 0x52 ? !this.chars(length) : !this.over(length)) return false
    }
    return this.skip(depth + 1)
  }

  private lastInt = 0

  private int(): boolean {
    const { at, buf, end } = this
    if (at >= end) return false
    const tag = buf[at]!
    if (tag >= 0x80 && tag <= 0xbf) {
      this.lastInt = tag - 0x90
      return this.over(1)
    }
    if (tag >= 0xc0 && tag <= 0xcf && at + 1 < end) {
      this.lastInt = ((tag - 0xc8) << 8) + buf[at + 1]!
      return this.over(2)
    }
    if (tag >= 0xd0 && tag <= 0xd7 && at + 2 < end) {
      this.lastInt = ((tag - 0xd4) << 16) + (buf[at + 1]! << 8) + buf[at + 2]!
      return this.over(3)
    }
    if (tag !== 0x49 || at + 4 >= end) return false
    this.lastInt = buf.readInt32BE(at + 1)
    return this.over(5)
  }

  /** A type is its name, or the number of one that was named before. */
  private type(): boolean {
    const tag = this.peek()
    return tag <= 0x1f || (tag >= 0x30 && tag <= 0x33) || tag === 0x53 ? this.string() : this.int()
  }

  private defineClass(): boolean {
    if (!this.string() || !this.int()) return false
    const count = this.lastInt
    if (count < 0 || count > maxValues || this.classes.length >= 256) return false
    for (let n = 0; n < count; n++) if (++this.values > maxValues || !this.string()) return false
    this.classes.push(count)
    return true
  }

  private objectFields(of: number, depth: number): boolean {
    const count = this.classes[of]
    return count !== undefined && this.many(count, depth)
  }

  private many(count: number, depth: number): boolean {
    if (count < 0) return false
    for (let n = 0; n < count; n++) if (!this.skip(depth + 1)) return false
    return true
  }

  private untilEnd(step: number, depth: number): boolean {
    while (this.peek() !== 0x5a) if (!this.many(step, depth)) return false
    return this.over(1)
  }
}

/** Bytes of a value whose tag tells them; 0 = it does not. */
function fixedBytes(tag: number): number {
  if (tag >= 0x80 && tag <= 0xbf) return 1
  if (tag >= 0xc0 && tag <= 0xcf) return 2
  if (tag >= 0xd0 && tag <= 0xd7) return 3
  if (tag >= 0xd8 && tag <= 0xef) return 1
  if (tag >= 0xf0) return 2
  if (tag >= 0x38 && tag <= 0x3f) return 3
  switch (tag) {
    case 0x4e: // null
    case 0x54: // true
    case 0x46: // false
    case 0x5b: // 0.0
    case 0x5c: // 1.0
      return 1
    case 0x5d:
      return 2
    case 0x5e:
      return 3
    case 0x49:
    case 0x59:
    case 0x5f:
    case 0x4b:
      return 5
    case 0x4c:
    case 0x44:
    case 0x4a:
      return 9
    default:
      return 0
  }
}

/** A string as Hessian writes it; null where it is too long for one piece. */
export function hessianString(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'utf8')
  const chars = text.length
  if (/[\ud800-\udfff]/.test(text)) return hessianString(text.replaceAll(/[\ud800-\udfff]/g, '?'))
  if (chars <= 0x1f) return Buffer.concat([Buffer.from([chars]), bytes])
  if (chars <= 0x3ff) return Buffer.concat([Buffer.from([0x30 + (chars >> 8), chars & 0xff]), bytes])
  if (chars > 0xffff) return null
  return Buffer.concat([Buffer.from([0x53, chars >> 8, chars & 0xff]), bytes])
}

/** How many arguments a descriptor like `Ljava/lang/String;[IJ` has; -1 = it is none. */
export function argumentCount(buf: Buffer, from: number, to: number): number {
  let count = 0
  for (let at = from; at < to; at++) {
    while (at < to && buf[at] === 0x5b) at++
    if (buf[at] === 0x4c) {
      while (at < to && buf[at] !== 0x3b) at++
      if (at === to) return -1
    } else if (at >= to || !'ZBCDFIJSV'.includes(String.fromCharCode(buf[at]!))) {
      return -1
    }
    if (++count > 255) return -1
  }
  return count
}
