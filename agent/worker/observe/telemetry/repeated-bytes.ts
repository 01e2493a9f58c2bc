import { maxValueLength } from './attributes.ts'
import { ProtoBytes } from './proto-bytes.ts'

/** So many endpoints are remembered; one more, and all are forgotten. */
const maxKeys = 128
/** Of one endpoint: of its methods, its callers. */
const maxBlocks = 4
/** What takes more is encoded each time. */
const maxBlockBytes = 1024
/** Three bytes a character of the longest values, and what stands around them. */
const maxBytes = 40 * maxValueLength

/** Encoded once, for whoever has the same values. */
export interface Block {
  readonly values: unknown[]
  readonly bytes: Buffer
  length: number
  /** Of the outbox: the group in which it stands, and where. 0 = none. */
  group: number
  at: number
}

/**
 * The part of a record that is mostly the same for requests to one endpoint: encoded when one of its values is another.
 * Bound: 512 KiB.
 */
export class RepeatedBytes<Subject> {
  private readonly read: (values: unknown[], subject: Subject) => void
  private readonly isOf: (values: readonly unknown[], subject: Subject) => boolean
  private readonly encode: (into: ProtoBytes, subject: Subject) => void
  private readonly known = new Map<string, Block[]>()
  private readonly fresh = new ProtoBytes(maxBytes)
  /** What is too long to be kept. */
  private readonly long: Block = { values: [], bytes: this.fresh.bytes, length: 0, group: 0, at: 0 }
  private last: Block | undefined
  private lastKey = ''
  private turn = 0

  /**
   * @param read puts the values, always as many, into the array. @param isOf whether all of them are those of the
   *   subject: spelled out, for a loop over values of all kinds costs more than reading them. @param encode writes what
   *   depends on them and on nothing else.
   */
  constructor(
    read: (values: unknown[], subject: Subject) => void,
    isOf: (values: readonly unknown[], subject: Subject) => boolean,
    encode: (into: ProtoBytes, subject: Subject) => void,
  ) {
    this.read = read
    this.isOf = isOf
    this.encode = encode
  }

  /** Until the next call. @param key the endpoint. */
  of(key: string, subject: Subject): Block {
    const { last } = this
    if (last !== undefined && key === this.lastKey && this.isOf(last.values, subject)) return last
    const block = this.find(key, subject) ?? this.make(key, subject)
    if (block === this.long) return block
    this.last = block
    this.lastKey = key
    return block
  }

  private find(key: string, subject: Subject): Block | undefined {
    return this.known.get(key)?.find(({ values }) => this.isOf(values, subject))
  }

  private make(key: string, subject: Subject): Block {
    const { fresh } = this
    fresh.length = 0
    this.encode(fresh, subject)
    const block = fresh.length > maxBlockBytes ? this.long : this.room(key)
    block.length = fresh.length
    block.group = 0
    if (block === this.long) return block
    this.read(block.values, subject)
    fresh.bytes.copy(block.bytes, 0, 0, fresh.length)
    return block
  }

  private room(key: string): Block {
    const blocks = this.known.get(key) ?? this.begin(key)
    if (blocks.length >= maxBlocks) return blocks[this.turn++ % maxBlocks]!
    const block: Block = { values: [], bytes: Buffer.allocUnsafeSlow(maxBlockBytes), length: 0, group: 0, at: 0 }
    blocks.push(block)
    return block
  }

  private begin(key: string): Block[] {
    if (this.known.size >= maxKeys) this.known.clear()
    const blocks: Block[] = []
    this.known.set(key, blocks)
    return blocks
  }
}
