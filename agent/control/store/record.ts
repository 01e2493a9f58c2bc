/** One file of the file store: `SHA256 JSON`, believed only when the checksum holds; written whole or not at all. */
import { createHash } from 'node:crypto'
import { open, readFile, rm, type FileHandle } from 'node:fs/promises'

const hashLength = 64

/** A whole record that a kill does not take back, and a loss of power does until `sync`. The caller closes it. */
export async function openRecord(file: string, body: unknown): Promise<FileHandle> {
  const json = JSON.stringify(body)
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(`${hash(json)} ${json}\n`)
    return handle
  } catch (error) {
    await handle.close()
    await rm(file, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Puts the text on the disk under the name; the caller gives it its real name. */
export async function writeRecord(file: string, body: unknown): Promise<void> {
  const handle = await openRecord(file, body)
  try {
    await handle.sync()
  } catch (error) {
    await rm(file, { force: true }).catch(() => undefined)
    throw error
  } finally {
    await handle.close()
  }
}

/** undefined: there is no such file. Throws an Error that says what is wrong with it. */
export async function readRecord(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const json = text.slice(hashLength + 1, -1)
  if (text.at(-1) !== '\n' || hash(json) !== text.slice(0, hashLength))
    throw new Error(`${file}: the checksum does not hold`)
  return JSON.parse(json)
}

/**
 * A loss of power cut it off: its end, or a part of it, never came to the disk. False for one that is whole, that is
 * damaged otherwise, or that is not there.
 */
export async function isCutOff(file: string): Promise<boolean> {
  try {
    const text = await readFile(file, 'utf8')
    // no byte of JSON is zero; what was not written yet is
    return text.at(-1) !== '\n' || text.includes('\0')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** What a file holds, or what was renamed or linked in a folder, stays so after a loss of power. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
