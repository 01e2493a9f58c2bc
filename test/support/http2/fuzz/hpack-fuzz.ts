/**
 * Header blocks from an encoder of the test's own, with a dynamic table of its own (RFC 7541 read a second time): what
 * our decoder makes of them must be what was put in. Then the same blocks damaged: no exception, and no end without an
 * answer.
 */
import { HpackDecoder, Scratch } from '../../../../agent/worker/protocols/http2/hpack/decoder.ts'
import type { Field } from '../../../../agent/worker/protocols/http2/hpack/field.ts'
import { huffmanEncode } from '../huffman.ts'
import { NameTable } from '../../../../agent/worker/protocols/http2/hpack/names.ts'
import { staticFields } from '../../../../agent/worker/protocols/http2/hpack/static-table.ts'
import { Random } from '../../http1/fuzz/random.ts'

export interface HpackFuzzTotals {
  readonly blocks: number
  readonly fields: number
  /** Damaged blocks that were refused. */
  readonly refused: number
}

type Pair = readonly [name: string, value: string]

const tableBytes = 4096
const entryOverhead = 32
const blocksPerConnection = 40
const maxFieldsPerBlock = 12

/** Throws with seed and block at the first difference. */
export function fuzzHpack(seed: number, blocks: number): HpackFuzzTotals {
  const random = new Random(seed)
  const names = new NameTable()
  const scratch = new Scratch()
  let fields = 0
  let refused = 0
  for (let done = 0; done < blocks;) {
    const decoder = new HpackDecoder(names, scratch, tableBytes)
    const encoder = new ModelEncoder(random)
    for (let index = 0; index < blocksPerConnection && done < blocks; index++, done++) {
      const pairs = Array.from({ length: random.below(maxFieldsPerBlock + 1) }, () => encoder.draw())
      const block = encoder.block(pairs)
      const found = decode(decoder, block)
      const wanted = pairs.map(([name, value]) => `${name}: ${value}`)
      if (found === null || found.join('\n') !== wanted.join('\n'))
        throw new Error(
          `HPACK, seed ${seed}, block ${done} (${block.toString('hex')}): wanted\n${wanted.join('\n')}\nfound\n${found?.join('\n')}`,
        )
      fields += pairs.length
      if (decode(new HpackDecoder(names, scratch, tableBytes), damaged(block, random)) === null) refused++
    }
  }
  return { blocks, fields, refused }
}

function decode(decoder: HpackDecoder, block: Buffer): string[] | null {
  const found: Field[] = []
  const isWhole = decoder.decode(block, 0, block.length, { onField: (field) => found.push(field) > 0 })
  return isWhole ? found.map(({ name, value }) => `${name}: ${value}`) : null
}

function damaged(block: Buffer, random: Random): Buffer {
  const copy = Buffer.from(block)
  for (let count = 1 + random.below(3); count > 0 && copy.length > 0; count--)
    copy[random.below(copy.length)] = random.below(256)
  return random.chance(0.2) ? copy.subarray(0, random.below(copy.length + 1)) : copy
}

class ModelEncoder {
  private readonly random: Random
  /** Newest first. */
  private readonly table: Pair[] = []
  private maxBytes = tableBytes
  private readonly seen: Pair[] = []

  constructor(random: Random) {
    this.random = random
  }

  /** New, or one that was there already: a table is only used by what comes again. */
  draw(): Pair {
    const { random, seen } = this
    if (seen.length > 0 && random.chance(0.5)) return random.pick(seen)
    const name = random.chance(0.4) ? random.pick(staticFields)[0] : `x-${text(random, 1 + random.below(20))}`
    const pair: Pair = [name, text(random, random.chance(0.05) ? random.below(3000) : random.below(40))]
    seen.push(pair)
    return pair
  }

  block(pairs: readonly Pair[]): Buffer {
    const { random } = this
    const parts: Buffer[] = []
    if (random.chance(0.1)) {
      this.maxBytes = random.below(tableBytes + 1)
      this.evict()
      parts.push(integer(this.maxBytes, 5, 0x20))
    }
    for (const pair of pairs) parts.push(this.field(pair))
    return Buffer.concat(parts)
  }

  private field(pair: Pair): Buffer {
    const { random, table } = this
    const [name, value] = pair
    const all: readonly Pair[] = [...staticFields, ...table]
    const whole = all.findIndex((one) => one[0] === name && one[1] === value)
    if (whole >= 0 && random.chance(0.8)) return integer(whole + 1, 7, 0x80)
    const named = all.findIndex((one) => one[0] === name)
    const index = named >= 0 && random.chance(0.8) ? named + 1 : 0
    const [bits, mark] = random.pick([
      [6, 0x40],
      [4, 0x00],
      [4, 0x10],
    ] as const)
    const parts = [integer(index, bits, mark)]
    if (index === 0) parts.push(string(name, random))
    parts.push(string(value, random))
    if (mark === 0x40) {
      table.unshift(pair)
      this.evict()
    }
    return Buffer.concat(parts)
  }

  private evict(): void {
    const size = (): number =>
      this.table.reduce((sum, [name, value]) => sum + name.length + value.length + entryOverhead, 0)
    while (size() > this.maxBytes) this.table.pop()
  }
}

function text(random: Random, length: number): string {
  let made = ''
  for (let at = 0; at < length; at++) made += 'abcdefghijklmnopqrstuvwxyz0123456789-_.'[random.below(39)]!
  return made
}

function integer(value: number, bits: number, mark: number): Buffer {
  const most = (1 << bits) - 1
  if (value < most) return Buffer.from([mark | value])
  const bytes = [mark | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function string(value: string, random: Random): Buffer {
  if (random.chance(0.5)) return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, 'latin1')])
  const packed = Buffer.alloc(value.length * 4 + 4)
  const length = huffmanEncode(value, packed, 0)
  return Buffer.concat([integer(length, 7, 0x80), packed.subarray(0, length)])
}
