/**
 * Files of the state directory: `{"format":N,"checksum":"…","body":…}`, written whole or not at all, and believed only
 * when the checksum holds. The checksum is the lower-case hex sha256 of the JSON text of `body`.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MeshError } from '../../../../contracts/errors.ts'
import { systemReason } from '../../config/yaml-file.ts'
import { jsonPieces } from './json-pieces.ts'

/** Text that is collected before it is written: one write, one turn of the loop. Some 0.3 ms of JSON. */
const chunkLength = 64 * 1024
/** The body's members and theirs: `services`, and each service by itself. */
const pieceDepth = 2
const checksumLength = 64

/**
 * Replaces `file` atomically: temporary file in the same folder, fsync, rename, fsync of the folder. Answers the number
 * of characters. The body is turned into text piece by piece between other work; it must not be changed meanwhile.
 * Rejects with E_SNAPSHOT_WRITE (disk full, read-only, no permission); the old file is then untouched and no temporary
 * file is left.
 */
export async function writeChecked(file: string, format: number, body: unknown): Promise<number> {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    let length: number
    try {
      length = await writePieces(handle, format, body)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
    const folder = await open(dirname(file), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
    return length
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new MeshError(
      'E_SNAPSHOT_WRITE',
      `${file}: cannot be written: ${systemReason(cause)}; the old file stays and traffic is not touched, but the next cold start will not know what is new; make the directory writable`,
      { cause },
    )
  }
}

async function writePieces(handle: FileHandle, format: number, body: unknown): Promise<number> {
  const opening = `{"format":${format},"checksum":"`
  const hash = createHash('sha256')
  let text = `${opening}${'0'.repeat(checksumLength)}","body":`
  let length = text.length
  await handle.write(text)
  text = ''
  for (const piece of jsonPieces(body, pieceDepth)) {
    text += piece
    if (text.length < chunkLength) continue
    hash.update(text)
    length += text.length
    await handle.write(text)
    text = ''
  }
  hash.update(text)
  await handle.write(`${text}}\n`)
  // the checksum is known last and stands first; until then the file is no state file under its temporary name
  await handle.write(Buffer.from(hash.digest('hex')), 0, checksumLength, opening.length)
  return length + text.length + 2
}

/**
 * The body, or undefined when there is no such file. Throws E_SNAPSHOT_CORRUPT for a damaged file or one of another
 * format.
 */
export function readChecked(file: string, format: number): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new MeshError('E_SNAPSHOT_CORRUPT', `${file}: cannot be read: ${systemReason(cause)}; starting without it`, {
      cause,
    })
  }
  const head = /^\{"format":(\d+),"checksum":"([0-9a-f]{64})","body":/.exec(text)
  if (head === null) throw corrupt(file, 'not a state file')
  if (Number(head[1]) !== format) throw corrupt(file, `format ${head[1]}, allowed ${format}`)
  const body = text.slice(head[0].length, text.lastIndexOf('}'))
  if (createHash('sha256').update(body).digest('hex') !== head[2]) throw corrupt(file, 'the checksum does not hold')
  return JSON.parse(body) as unknown
}

function corrupt(file: string, why: string): MeshError {
  return new MeshError('E_SNAPSHOT_CORRUPT', `${file}: ${why}; starting without it, it will be written anew`)
}
