/** Of what stands in a folder of files: a pipe or a device may keep its reader for ever. */
import type { Stats } from 'node:fs'

export const endlessFile = 'a pipe, a socket or a device; it is not read'

export function isEndless(found: Pick<Stats, 'isFile' | 'isDirectory'>): boolean {
  return !found.isFile() && !found.isDirectory()
}
