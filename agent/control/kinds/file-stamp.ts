import { statSync } from 'node:fs'

/**
 * Another one when the file may hold something else; `none` = it is not there. Never throws: whoever reads it then is
 * told why not.
 */
export function fileStamp(file: string): string {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeMs} ${found.mode}`
  } catch (error) {
    // in a folder that we may not enter, say
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
