/**
 * Directories whose files are believed: sockets that descriptors travel over, snapshots, registrations. Whoever may
 * write there could put its own in their place, so a directory that somebody else owns, or may write to, is not used.
 * The same holds for each directory and link on the way to it: who may rename one of them chooses what stands below.
 */
import { lstatSync, mkdirSync, readlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** As the kernel's own bound (path_resolution(7)). */
const maxLinks = 40
const sticky = 0o1000

/**
 * Makes the directory with mode 0700 where it is missing. Answers why it cannot be believed, undefined = it can. Throws
 * what mkdir throws.
 */
export function makePrivateDirectory(path: string): string | undefined {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return distrustOf(path)
}

/**
 * Why files in this directory cannot be believed; undefined = they can. `own`: the user beside root who may own it, and
 * what leads to it. Throws what lstat throws.
 */
export function distrustOf(path: string, own: number = process.getuid?.() ?? 0): string | undefined {
  let at = '/'
  let links = 0
  const rest = partsOf(path)
  for (;;) {
    const { mode, uid } = lstatSync(at)
    const isEnd = rest.length === 0
    const which = isEnd ? 'it' : at
    if (uid !== own && uid !== 0)
      return `${which} belongs to user ${uid}; chown it to user ${own} or choose another directory`
    if (isLink(mode)) {
      if (++links > maxLinks) return `more than ${maxLinks} links lead to it`
      rest.unshift(...partsOf(resolve(join(at, '..'), readlinkSync(at))))
      at = '/'
      continue
    }
    // under a sticky one (/tmp) nobody renames what is another's
    if ((mode & 0o022) !== 0 && (isEnd || (mode & sticky) === 0))
      return `others may write to ${which} (mode ${(mode & 0o7777).toString(8)}); chmod go-w it`
    const next = rest.shift()
    if (next === undefined) return undefined
    at = join(at, next)
  }
}

function partsOf(path: string): string[] {
  return resolve(path)
    .split('/')
    .filter((part) => part !== '')
}

function isLink(mode: number): boolean {
  return (mode & 0o170000) === 0o120000
}
