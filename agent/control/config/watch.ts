/**
 * Tells when a configuration file or folder may have changed: by notification where the system gives one, and by
 * whoever calls `poke` (SIGHUP).
 */
import { existsSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Clock } from '../clock.ts'

export interface WatchedFiles {
  /** As if something had changed. Also watches folders that did not exist before. */
  poke(): void
  close(): void
}

/** Editors write in several steps, and a deployment writes several files: one call for all of it. */
const settleMs = 200

/**
 * Calls `onChange` once things are quiet for `settleMs`. A folder that cannot be watched is simply not watched; SIGHUP
 * always works.
 */
export function watchFiles(file: string, folders: readonly string[], clock: Clock, onChange: () => void): WatchedFiles {
  const watchers = new Map<string, FSWatcher>()
  let cancel: (() => void) | undefined
  const later = (): void => {
    cancel?.()
    cancel = clock.after(settleMs, onChange)
  }
  const add = (path: string, matters: (name: string | null) => boolean): void => {
    if (watchers.has(path) || !existsSync(path)) return
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (matters(name)) later()
      })
      // the folder was removed: it is watched again after the next poke
      watcher.on('error', () => {
        watcher.close()
        watchers.delete(path)
      })
      watchers.set(path, watcher)
    } catch {
      // no notification here (inotify limit): SIGHUP still works
    }
  }
  const addAll = (): void => {
    add(
      dirname(file),
      (name) => name === null || name === basename(file) || folders.some((one) => basename(one) === name),
    )
    for (const folder of folders) add(folder, (name) => name === null || /\.ya?ml$/.test(name))
  }
  addAll()
  return {
    poke: () => {
      addAll()
      later()
    },
    close: () => {
      cancel?.()
      for (const watcher of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}
