/**
 * A tar archive in memory: regular files of one folder tree, in the form that every tar reads (POSIX.1-1988, ustar).
 */

export interface TarEntry {
  /** Relative, with `/`; at most 100 bytes, or 155 more in front of a `/`. */
  readonly name: string
  readonly content: Buffer
}

const blockBytes = 512

/** @param seconds of every entry, epoch; mode is 0600. */
export function tarOf(entries: readonly TarEntry[], seconds: number): Buffer {
  const parts = entries.flatMap(({ name, content }) => {
    const rest = content.length % blockBytes
    return [header(name, content.length, seconds), content, Buffer.alloc(rest === 0 ? 0 : blockBytes - rest)]
  })
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)])
}

function header(name: string, bytes: number, seconds: number): Buffer {
  const block = Buffer.alloc(blockBytes)
  const [prefix, rest] = split(name)
  block.write(rest, 0)
  block.write(prefix, 345)
  const octal = (value: number, at: number, digits: number): void =>
    void block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1')
  octal(0o600, 100, 7)
  octal(0, 108, 7)
  octal(0, 116, 7)
  octal(bytes, 124, 11)
  octal(seconds, 136, 11)
  block.write('        0', 148, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((all, byte) => all + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** A long name goes in two parts, between which a reader puts a `/`. Throws RangeError for one that fits in no way. */
function split(name: string): readonly [prefix: string, rest: string] {
  if (Buffer.byteLength(name) <= 100) return ['', name]
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)]
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(rest) <= 100) return [prefix, rest]
  }
  throw new RangeError(`${name}: longer than a tar holds`)
}
