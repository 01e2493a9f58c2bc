/**
 * One compressor of zlib for all replies. The public functions make one for each call, a quarter of a MiB that is
 * mapped, filled and given back, which costs more than the compression of 10 KB; so the handle below the public streams
 * is used, which Node does not promise. It proves itself before it is used, and the public functions stand in.
 */
import {
  constants,
  createDeflateRaw,
  createGzip,
  deflateRawSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
} from 'node:zlib'

/** Longer ones go to the public functions. */
const maxInput = 65_536
/** What zlib makes of as much at most (deflateBound), and more. */
const outputBytes = maxInput + 4096

interface Handle {
  reset(): void
  writeSync(flush: number, from: Buffer, at: number, count: number, to: Buffer, toAt: number, room: number): void
}

interface InnerStream {
  readonly _handle: Handle
  /** Room left of the output, bytes left of the input; filled by `writeSync`. */
  readonly _writeState: Uint32Array
}

export type Compress = (bytes: Buffer) => Buffer

/** A whole member of gzip. */
export function gzipWith(level: number): Compress {
  const compress = (bytes: Buffer): Buffer => gzipSync(bytes, { level })
  const inner = createGzip({ level }) as unknown as InnerStream
  return proven(inner, constants.Z_FINISH, compress, (made) => gunzipSync(made))
}

/** Blocks of deflate that end at a byte and refer to nothing before them. */
export function deflateBlocksWith(level: number): Compress {
  const finishFlush = constants.Z_SYNC_FLUSH
  const compress = (bytes: Buffer): Buffer => deflateRawSync(bytes, { level, finishFlush })
  const inner = createDeflateRaw({ level }) as unknown as InnerStream
  return proven(inner, finishFlush, compress, (made) => inflateRawSync(made, { finishFlush }))
}

function proven(inner: InnerStream, flush: number, compress: Compress, undo: Compress): Compress {
  const output = Buffer.allocUnsafeSlow(outputBytes)
  const { _handle: handle, _writeState: state } = inner
  const fast = (bytes: Buffer): Buffer => {
    if (bytes.length === 0 || bytes.length > maxInput) return compress(bytes)
    handle.reset()
    handle.writeSync(flush, bytes, 0, bytes.length, output, 0, outputBytes)
    const [room = 0, left = 1] = state
    return left !== 0 || room === 0 ? compress(bytes) : Buffer.from(output.subarray(0, outputBytes - room))
  }
  try {
    const samples = [Buffer.from('a'), Buffer.from('abcabcabc'.repeat(1000)), Buffer.alloc(maxInput, 'x')]
    return samples.every((sample) => undo(fast(sample)).equals(sample) && undo(fast(sample)).equals(sample))
      ? fast
      : compress
  } catch {
    return compress
  }
}
