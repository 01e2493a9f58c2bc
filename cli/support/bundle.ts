/** One file out of all pieces: masked, bounded, with a list of what is in it and what is not. */
import { gzipSync } from 'node:zlib'
import type { Piece } from './contents.ts'
import { redacted } from './redact.ts'
import { type TarEntry, tarOf } from './tar.ts'

/** Bytes of the finished file. */
const maxBundleBytes = 20 * 1024 * 1024
/** Characters of one piece. */
const maxPieceLength = 16 * 1024 * 1024

export interface Row {
  readonly name: string
  readonly bytes: number
  /** Why it is not there, or not whole; undefined = all of it is. */
  readonly problem: string | undefined
}

/**
 * @param folder name of the folder that everything is in.
 * @param wall epoch ms.
 * @param maxBytes of the file; the longest piece is halved until all fits.
 */
export function bundleOf(
  pieces: readonly Piece[],
  secrets: readonly string[],
  folder: string,
  wall: number,
  maxBytes: number = maxBundleBytes,
): { file: Buffer; rows: readonly Row[] } {
  const texts = new Map<string, { piece: Piece; text: string; isCut: boolean }>()
  for (const piece of pieces) {
    if (piece.text === undefined) continue
    // masked before it is cut: half a secret would not be known any more
    const whole = redacted(piece.text, secrets)
    const text = cut(whole, piece.keeps, maxPieceLength)
    texts.set(piece.name, { piece, text, isCut: text.length < whole.length })
  }
  for (;;) {
    const rows = pieces.map(({ name, problem }): Row => {
      const held = texts.get(name)
      const bytes = held === undefined ? 0 : Buffer.byteLength(held.text)
      return { name, bytes, problem: held?.isCut === true ? `cut, ${held.piece.keeps} kept` : problem }
    })
    const entries: TarEntry[] = [
      { name: `${folder}/MANIFEST.txt`, content: Buffer.from(manifest(rows, wall)) },
      ...[...texts].map(([name, { text }]) => ({ name: `${folder}/${name}`, content: Buffer.from(text) })),
    ]
    const file = gzipSync(tarOf(entries, Math.floor(wall / 1000)))
    if (file.length <= maxBytes) return { file, rows }
    const [longest] = [...texts.values()].toSorted((a, b) => b.text.length - a.text.length)
    if (longest === undefined || longest.text.length < 2) return { file, rows }
    longest.text = cut(longest.text, longest.piece.keeps, Math.floor(longest.text.length / 2))
    longest.isCut = true
  }
}

function cut(text: string, keeps: Piece['keeps'], length: number): string {
  if (text.length <= length) return text
  return keeps === 'head' ? text.slice(0, length) : text.slice(text.length - length)
}

function manifest(rows: readonly Row[], wall: number): string {
  const lines = rows.map(({ bytes, name, problem }) => {
    return `${String(bytes).padStart(10)}  ${name}${problem === undefined ? '' : `  (${problem})`}`
  })
  return `Support bundle of Hostmesh, ${new Date(wall).toISOString()}
Secrets are removed: what stands under a name that smells of one, values of headers and metadata in rules, what is in
the secret files of the configuration, and what looks like a key or a token. Names and addresses of hosts and services
are in it. No request of any user is, unless the access log is written to the journal.

${lines.join('\n')}
`
}
