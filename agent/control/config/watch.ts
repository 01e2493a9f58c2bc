/**
 * Tells when a configuration file or folder may have changed: by notification where the system gives one, and by
 * whoever calls `poke` (SIGHUP).
 */
import { statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Clock } from '../clock.ts'

export interface WatchedFiles {
  /** As if something had changed. Also watches folders that did not exist before. */
  poke(): void
  close(): void
}

/** Editors write in several steps, and a deployment writes several files: one call for all of it. */
const settleMs = 200

interface Watched {
  readonly watcher: FSWatcher
  /** Of the folder: another one of its name is not watched by this. */
  readonly inode: bigint
}

/**
 * Calls `onChange` once things are quiet for `settleMs`. A folder is watched again when another one takes its place, as
 * deployments do; one that cannot be watched is simply not watched; SIGHUP always works.
 */
export function watchFiles(file: string, folders: readonly string[], clock: Clock, onChange: () => void): WatchedFiles {
  const watched = new Map<string, Watched>()
  let cancel: (() => void) | undefined
  const forget = (path: string): void => {
    watched.get(path)?.watcher.close()
    watched.delete(path)
  }
  const later = (): void => {
    cancel?.()
    cancel = clock.after(settleMs, () => {
      addAll()
      onChange()
    })
  }
  const add = (path: string): void => {
    const inode = inodeOf(path)
    if (inode === watched.get(path)?.inode) return
    forget(path)
    if (inode === undefined) return
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        // its own name: it goes, and the next one may get its inode
        if (name === basename(path)) forget(path)
        if (name === null || matters(path, name)) later()
      })
      watcher.on('error', () => forget(path))
      watched.set(path, { watcher, inode })
    } catch {
      // no notification here (inotify limit): SIGHUP still works
    }
  }
  const isAbout = (path: string, name: string, one: string): boolean => dirname(one) === path && basename(one) === name
  /** The file, a folder that comes, goes or is another one now, a file in one. A folder that goes says its own name. */
  const matters = (path: string, name: string): boolean =>
    isAbout(path, name, file) ||
    folders.some((one) => isAbout(path, name, one) || (one === path && (name === basename(one) || isRead(name))))
  const addAll = (): void => {
    for (const path of new Set([file, ...folders].map((one) => dirname(one)))) add(path)
    for (const folder of folders) add(folder)
  }
  addAll()
  return {
    poke: () => {
      addAll()
      later()
    },
    close: () => {
      cancel?.()
      for (const path of watched.keys()) forget(path)
    },
  }
}

const isRead = (name: string): boolean => /\.ya?ml$/.test(name)

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino
  } catch {
    return undefined
  }
}
