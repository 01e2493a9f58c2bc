/** One file out of all pieces: masked, bounded, with a list of what is in it and what is not. */
import { gzipSync } from 'node:zlib'
import type { Piece } from './contents.ts'
import { redacted } from './redact.ts'
import { type TarEntry, tarOf } from './tar.ts'

/** Bytes of the finished file. */
const maxBundleBytes = 20 * 1024 * 1024
/** Characters of one piece, and of all. */
const maxPieceLength = 16 * 1024 * 1024
const maxLength = 64 * 1024 * 1024
/** Of one piece as it was collected: no more is looked through for secrets. */
const maxRawLength = 24 * 1024 * 1024

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
    const whole = masked(piece.text, piece.keeps, secrets)
    const text = cut(whole, piece.keeps, maxPieceLength)
    texts.set(piece.name, { piece, text, isCut: text.length < whole.length || piece.text.length > maxRawLength })
  }
  const halve = (): boolean => {
    const [longest] = [...texts.values()].toSorted((a, b) => b.text.length - a.text.length)
    if (longest === undefined || longest.text.length < 2) return false
    longest.text = cut(longest.text, longest.piece.keeps, Math.floor(longest.text.length / 2))
    longest.isCut = true
    return true
  }
  const length = (): number => [...texts.values()].reduce((sum, { text }) => sum + text.length, 0)
  while (length() > maxLength && halve());
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
    if (file.length <= maxBytes || !halve()) return { file, rows }
  }
}

/** Masked before it is cut: half a secret would not be known any more. What is too long to be read is cut before. */
function masked(text: string, keeps: Piece['keeps'], secrets: readonly string[]): string {
  if (text.length <= maxRawLength) return redacted(text, secrets)
  const edge = secrets[0]?.length ?? 0
  const found = redacted(cut(text, keeps, maxRawLength), secrets)
  return cut(found, keeps, found.length - edge)
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
