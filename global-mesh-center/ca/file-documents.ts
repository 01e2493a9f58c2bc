/**
 * Documents of the authority as files of one center: 0600, written whole or not at all. Two generations of a center may
 * look at them at once; each write is made under a lock file that a dead process does not keep,
 * also where another one has its number by now.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makePrivateDirectory } from '../../native/private-directory.ts'
import { processMark } from '../../native/process-mark.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { CaDocument, CaDocuments, DocumentName } from './documents.ts'

/** The directory is made with mode 0700. Throws E_RUN_DIRECTORY for one that others may write to. */
export function fileDocuments(directory: string): CaDocuments {
  const distrust = makePrivateDirectory(directory)
  if (distrust !== undefined)
    throw new MeshError('E_RUN_DIRECTORY', `${directory}: ${distrust}; the authority keeps its keys there`)
  const fileOf = (name: DocumentName) => join(directory, `${name}.json`)
  const read = (name: DocumentName): CaDocument | undefined => {
    try {
      const text = readFileSync(fileOf(name), 'utf8')
      return { text, revision: createHash('sha256').update(text).digest('hex') }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  let last: Promise<unknown> = Promise.resolve()
  return {
    read: (name) => Promise.resolve().then(() => read(name)),
    write(name, text, revision) {
      const mine = last.then(() =>
        locked(`${fileOf(name)}.lock`, async () => {
          if (read(name)?.revision !== revision) return false
          await replace(fileOf(name), text)
          return true
        }),
      )
      last = mine.catch(() => undefined)
      return mine
    },
  }
}

/** Runs `work` while the lock is ours; answers false when another living process holds it. */
async function locked(lock: string, work: () => Promise<boolean>): Promise<boolean> {
  const own = `${lock}.${process.pid}`
  const handle = await open(own, 'w', 0o600)
  await handle.writeFile(processMark(process.pid) ?? String(process.pid))
  await handle.close()
  try {
    if (!(await take(own, lock))) return false
    try {
      return await work()
    } finally {
      await rm(lock, { force: true })
    }
  } finally {
    await rm(own, { force: true })
  }
}

async function take(own: string, lock: string): Promise<boolean> {
  try {
    await link(own, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (isHeld(lock)) return false
    await rm(lock, { force: true })
    return false
  }
}

/** Our own is left over: we make one write after the other. A number alone is what earlier versions wrote. */
function isHeld(lock: string): boolean {
  const mark = textOf(lock)
  const [pid] = mark.split(' ').map(Number)
  if (pid === undefined || pid === process.pid) return false
  return mark === processMark(pid) || (mark === String(pid) && processMark(pid) !== undefined)
}

function textOf(lock: string): string {
  try {
    return readFileSync(lock, 'utf8')
  } catch {
    return ''
  }
}

async function replace(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}
