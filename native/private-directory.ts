/**
 * Directories whose files are believed: sockets that descriptors travel over, snapshots, registrations. Whoever may write there could put its own in their place, so a directory that somebody
 * else owns, or may write to, is not used.
 */
import { mkdirSync, statSync } from 'node:fs'

/** Makes the directory with mode 0700 where it is missing. Answers why it cannot be believed, undefined = it can. Throws what mkdir throws. */
export function makePrivateDirectory(path: string): string | undefined {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return distrust(path)
}

function distrust(path: string): string | undefined {
  const { mode, uid } = statSync(path)
  const own = process.getuid?.() ?? uid
  if (uid !== own && uid !== 0) return `it belongs to user ${uid}; chown it to user ${own} or choose another directory`
  if ((mode & 0o022) !== 0) return `others may write to it (mode ${(mode & 0o7777).toString(8)}); chmod go-w it`
  return undefined
}
