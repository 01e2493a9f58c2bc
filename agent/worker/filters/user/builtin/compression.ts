/**
 * Compresses replies for callers that take it: by Accept-Encoding and content type, never what is compressed already.
 * A reply of known and small length is compressed as a whole, in the encoding liked best; everything else piece by
 * piece as it comes, so that streams stay streams, in gzip. Nothing is ever decompressed.
 */
import { brotliCompressSync, constants, zstdCompressSync } from 'node:zlib'
import type { BodyTransform, FilterReply, MakeFilter, UserFilter } from '../../../../../contracts/user-filter.ts'
import type { CompressionSettings, Encoding } from '../../../../../contracts/builtin-filters.ts'
import { EncodingChoice } from './accepted-encoding.ts'
import { contentTypes } from './content-types.ts'
import { asBuffer } from '../as-buffer.ts'
import { GzipPieces } from './gzip-pieces.ts'
import { deflateBlocksWith, gzipWith } from './zlib-handle.ts'
import type { Compress } from './zlib-handle.ts'

/** Longer ones are compressed piece by piece: the loop has others to serve, and memory has a bound. */
const maxWhole = 65_536

export const compression: MakeFilter = (settings) => new Compression(settings as unknown as CompressionSettings)

class Compression implements UserFilter {
  private readonly settings: CompressionSettings
  private readonly isMeant: (contentType: string) => boolean
  private readonly ofWhole: EncodingChoice
  private readonly ofPieces: EncodingChoice
  private readonly blocksOf: Compress
  private readonly whole: Readonly<Record<Encoding, Compress>>

  constructor(settings: CompressionSettings) {
    this.settings = settings
    this.isMeant = contentTypes(settings.contentTypes)
    this.ofWhole = new EncodingChoice(settings.encodings)
    this.ofPieces = new EncodingChoice(settings.encodings.filter((one) => one === 'gzip'))
    this.blocksOf = deflateBlocksWith(settings.level)
    this.whole = { gzip: gzipWith(settings.level), br: brotliWith(settings.level), zstd: zstdWith(settings.level) }
  }

  onReplyHead(reply: FilterReply, request: { header(name: string): string | undefined }): void {
    const type = reply.header('content-type')
    if (!reply.hasBody || reply.status === 206 || type === undefined || !this.isMeant(type)) return
    if (reply.header('content-encoding') !== undefined) return
    const { bodyLength } = reply
    if (bodyLength >= 0 && bodyLength < this.settings.minBytes) return
    if (reply.header('cache-control')?.toLowerCase().includes('no-transform') === true) return
    // also for those who do not take it: a cache must not give them what others got
    tellVary(reply)
    const isWhole = bodyLength >= 0 && bodyLength <= maxWhole
    const encoding = (isWhole ? this.ofWhole : this.ofPieces).of(request.header('accept-encoding') ?? '')
    if (encoding === undefined) return
    reply.setHeader('content-encoding', encoding)
    const tag = reply.header('etag')
    if (tag?.startsWith('"') === true) reply.setHeader('etag', `W/${tag}`)
    for (const name of ofOtherBytes) if (reply.header(name) !== undefined) reply.removeHeader(name)
    reply.transformBody(isWhole ? new WholeBody(this.whole[encoding], bodyLength) : new GzipPieces(this.blocksOf))
  }
}

/** Say something about the bytes that they do not hold for any more. */
const ofOtherBytes = ['accept-ranges', 'content-md5', 'digest', 'content-digest', 'repr-digest']

function tellVary(reply: FilterReply): void {
  const vary = reply.header('vary')
  if (vary === undefined) reply.setHeader('vary', 'accept-encoding')
  else if (!/(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(vary)) reply.addHeader('vary', 'accept-encoding')
}

function brotliWith(level: number): Compress {
  const params = { [constants.BROTLI_PARAM_QUALITY]: level }
  return (bytes) =>
    brotliCompressSync(bytes, { params: { ...params, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })
}

function zstdWith(level: number): Compress {
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  return (bytes) => zstdCompressSync(bytes, { params })
}

/** Collects what comes, at most `maxWhole` bytes as announced; what comes in one piece is not even copied. */
class WholeBody implements BodyTransform {
  private readonly compress: Compress
  private readonly length: number
  private pieces: Buffer[] | null = []

  constructor(compress: Compress, length: number) {
    this.compress = compress
    this.length = length
  }

  chunk(bytes: Uint8Array): Uint8Array | undefined {
    if (bytes.length < this.length || this.pieces === null) {
      this.pieces?.push(Buffer.from(bytes))
      return undefined
    }
    this.pieces = null
    return this.compress(asBuffer(bytes))
  }

  end(): Uint8Array | undefined {
    return this.pieces === null ? undefined : this.compress(Buffer.concat(this.pieces))
  }
}
