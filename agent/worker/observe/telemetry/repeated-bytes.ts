import type { ProtoBytes } from './proto-bytes.ts'

/** So many endpoints are remembered; one more, and all are forgotten. */
const maxKeys = 128
/** Of one endpoint: of its methods, its callers. */
const maxBlocks = 4
/** What takes more is encoded each time. */
const maxBlockBytes = 1024

interface Block {
  readonly values: unknown[]
  readonly bytes: Buffer
  length: number
}

/**
 * The part of a record that is mostly the same for requests to one endpoint: encoded when one of its values is another,
 * copied otherwise. Bound: 512 KiB.
 */
export class RepeatedBytes<Subject> {
  private readonly read: (values: unknown[], subject: Subject) => void
  private readonly encode: (into: ProtoBytes, subject: Subject) => void
  private readonly known = new Map<string, Block[]>()
  private readonly values: unknown[] = []
  private turn = 0

  /**
   * @param read puts the values, always as many, into the array. @param encode writes what depends on them and on
   *   nothing else.
   */
  constructor(
    read: (values: unknown[], subject: Subject) => void,
    encode: (into: ProtoBytes, subject: Subject) => void,
  ) {
    this.read = read
    this.encode = encode
  }

  /** @param key the endpoint. */
  put(into: ProtoBytes, key: string, subject: Subject): void {
    const { values } = this
    this.read(values, subject)
    const blocks = this.known.get(key)
    if (blocks !== undefined)
      for (let index = 0; index < blocks.length; index++) {
        const block = blocks[index]!
        if (!isSame(block, values)) continue
        block.bytes.copy(into.bytes, into.length, 0, block.length)
        into.length += block.length
        return
      }
    const from = into.length
    this.encode(into, subject)
    if (into.length - from <= maxBlockBytes) this.keep(blocks ?? this.begin(key), into, from)
  }

  private begin(key: string): Block[] {
    if (this.known.size >= maxKeys) this.known.clear()
    const blocks: Block[] = []
    this.known.set(key, blocks)
    return blocks
  }

  private keep(blocks: Block[], { bytes, length: to }: ProtoBytes, from: number): void {
    let block = blocks.length < maxBlocks ? undefined : blocks[this.turn++ % maxBlocks]
    if (block === undefined) {
      block = { values: [], bytes: Buffer.allocUnsafeSlow(maxBlockBytes), length: 0 }
      blocks.push(block)
    }
    for (let index = 0; index < this.values.length; index++) block.values[index] = this.values[index]
    block.length = bytes.copy(block.bytes, 0, from, to)
  }
}

function isSame({ values: known }: Block, values: readonly unknown[]): boolean {
  for (let index = 0; index < values.length; index++) if (values[index] !== known[index]) return false
  return true
}
