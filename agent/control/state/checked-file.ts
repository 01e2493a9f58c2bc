/**
 * Files of the state directory: `{"format":N,"checksum":"…","body":…}`, written whole or not at all, and believed only when the checksum holds.
 * The checksum is the lower-case hex sha256 of the JSON text of `body`.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MeshError } from '../../../contracts/errors.ts'
import { systemReason } from '../config/yaml-file.ts'

/**
 * Replaces `file` atomically: temporary file in the same folder, fsync, rename, fsync of the folder. Answers the number of bytes.
 * Rejects with E_SNAPSHOT_WRITE (disk full, read-only, no permission); the old file is then untouched and no temporary file is left.
 */
export async function writeChecked(file: string, format: number, body: unknown): Promise<number> {
  const text = JSON.stringify(body)
  const whole = `{"format":${format},"checksum":"${sha256(text)}","body":${text}}\n`
  const temporary = `${file}.${process.pid}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(whole)
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
    return whole.length
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new MeshError(
      'E_SNAPSHOT_WRITE',
      `${file}: cannot be written: ${systemReason(cause)}; the old file stays and traffic is not touched, but the next cold start will not know what is new; make the directory writable`,
      { cause },
    )
  }
}

/** The body, or undefined when there is no such file. Throws E_SNAPSHOT_CORRUPT for a damaged file or one of another format. */
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
  if (sha256(body) !== head[2]) throw corrupt(file, 'the checksum does not hold')
  return JSON.parse(body) as unknown
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function corrupt(file: string, why: string): MeshError {
  return new MeshError('E_SNAPSHOT_CORRUPT', `${file}: ${why}; starting without it, it will be written anew`)
}
