import { crc32 } from 'node:zlib'
import type { BodyTransform } from '../../../../../contracts/user-filter.ts'
import { asBuffer } from '../as-buffer.ts'
import type { Compress } from './zlib-handle.ts'

/** RFC 1952: no name, no time, an unknown system. */
const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])
/** An empty last block of deflate. */
const lastBlock = [3, 0]

/**
 * One member of gzip, of which each piece of content is whole blocks of deflate that end at a byte: what came can be
 * read at once, and between two pieces nothing is kept but twelve bytes. A piece does not refer to those before it,
 * which costs some size where pieces are small.
 */
export class GzipPieces implements BodyTransform {
  private readonly blocksOf: Compress
  private crc = 0
  private size = 0

  constructor(blocksOf: Compress) {
    this.blocksOf = blocksOf
  }

  chunk(bytes: Uint8Array): Uint8Array {
    const isFirst = this.size === 0
    this.crc = crc32(bytes, this.crc)
    this.size += bytes.length
    const blocks = this.blocksOf(asBuffer(bytes))
    return isFirst ? Buffer.concat([head, blocks]) : blocks
  }

  end(): Uint8Array {
    const tail = Buffer.alloc(10)
    tail.set(lastBlock)
    tail.writeUInt32LE(this.crc, 2)
    tail.writeUInt32LE(this.size % 2 ** 32, 6)
    return this.size === 0 ? Buffer.concat([head, tail]) : tail
  }
}
