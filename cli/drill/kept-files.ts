/**
 * Files that drills leave in folders of the agent's user. Whoever drills, they are that user's, so that the console and
 * a support bundle can read them; and what that user has put in their place is neither followed nor written to, for it
 * may be root who drills.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** Makes it where it is missing, mode 0700, for the owner of the folder that it is in. */
export function makeKeptFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const owner = ownerFor(path)
  const found = lstatSync(path)
  if (owner !== undefined && found.isDirectory() && found.uid !== owner.uid) lchownSync(path, owner.uid, owner.gid)
}

/** In the place of what is there, for the owner of its folder, with this mode whatever the umask. */
export function writeKept(path: string, text: string, mode: number): void {
  rmSync(path, { force: true })
  writeNew(path, text, mode)
}

/** Throws EEXIST where something is there, be it a link that leads nowhere. */
export function writeNew(path: string, text: string, mode: number): void {
  const descriptor = openSync(path, 'wx', mode)
  try {
    fchmodSync(descriptor, mode)
    writeFileSync(descriptor, text)
    give(descriptor, path)
  } finally {
    closeSync(descriptor)
  }
}

/** A descriptor to write behind what is there; mode 0600. */
export function openToAppend(path: string): number {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
  const descriptor = openSync(path, flags, 0o600)
  give(descriptor, path)
  return descriptor
}

function give(descriptor: number, path: string): void {
  const owner = ownerFor(path)
  if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid)
}

/** Undefined where nothing is to be given away: only root can. */
function ownerFor(path: string): { readonly uid: number; readonly gid: number } | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const { gid, uid } = statSync(dirname(path))
  return uid === 0 ? undefined : { uid, gid }
}
