/**
 * ZooKeeper's record format: big-endian numbers, length before text. Source: zookeeper.jute of Apache ZooKeeper 3.9,
 * packages org.apache.zookeeper.{data,proto}.
 */

/** Writes one record after another; `frame()` puts the length before them. */
export class RecordWriter {
  private parts: Buffer[] = []
  private length = 0

  int(value: number): this {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(value)
    return this.add(bytes)
  }

  long(value: bigint): this {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigInt64BE(value)
    return this.add(bytes)
  }

  bool(value: boolean): this {
    return this.add(Buffer.from([value ? 1 : 0]))
  }

  bytes(value: Buffer): this {
    return this.int(value.length).add(value)
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value))
  }

  frame(): Buffer {
    const head = Buffer.allocUnsafe(4)
    head.writeInt32BE(this.length)
    return Buffer.concat([head, ...this.parts], this.length + 4)
  }

  private add(bytes: Buffer): this {
    this.parts.push(bytes)
    this.length += bytes.length
    return this
  }
}

/** Reads a record; throws RangeError where it ends too early or a length makes no sense. */
export class RecordReader {
  private readonly buffer: Buffer
  private at: number

  constructor(bytes: Buffer, at = 0) {
    this.buffer = bytes
    this.at = at
  }

  get left(): number {
    return this.buffer.length - this.at
  }

  int(): number {
    this.at += 4
    return this.buffer.readInt32BE(this.at - 4)
  }

  long(): bigint {
    this.at += 8
    return this.buffer.readBigInt64BE(this.at - 8)
  }

  bool(): boolean {
    this.at += 1
    return this.buffer.readInt8(this.at - 1) !== 0
  }

  /** Length −1 is "none", read as empty. */
  bytes(): Buffer {
    const length = this.int()
    if (length < -1 || length > this.left) throw new RangeError(`a length of ${length} with ${this.left} bytes left`)
    const start = this.at
    this.at += Math.max(0, length)
    return this.buffer.subarray(start, this.at)
  }

  text(): string {
    return this.bytes().toString()
  }

  /** At most the first `most` of them. */
  texts(most: number): string[] {
    const count = this.int()
    // each of them needs four bytes at least
    if (count < -1 || count * 4 > this.left) throw new RangeError(`a list of ${count} with ${this.left} bytes left`)
    const list: string[] = []
    for (let index = 0; index < count && index < most; index++) list.push(this.text())
    return list
  }
}

/** What of a node's statistics is used. */
export interface NodeStat {
  /** Session that the node lives with, 0 = none. */
  readonly ephemeralOwner: bigint
}

export function readStat(reader: RecordReader): NodeStat {
  // czxid, mzxid, ctime, mtime
  for (let index = 0; index < 4; index++) reader.long()
  // version, cversion, aversion
  for (let index = 0; index < 3; index++) reader.int()
  const ephemeralOwner = reader.long()
  // dataLength, numChildren, pzxid
  reader.int()
  reader.int()
  reader.long()
  return { ephemeralOwner }
}
