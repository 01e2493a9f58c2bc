/** Whether a file that a configuration names can be used, by who may read it. */
import { closeSync, openSync, statSync } from 'node:fs'
import type { Report } from './node-kind.ts'
import { systemReason } from './yaml-file.ts'

/** Opened, not only looked at: a file of another user has a size, too. undefined = it can be read. */
export function unreadable(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return 'it is no file'
    closeSync(openSync(file, 'r'))
    return undefined
  } catch (error) {
    const isDenied = (error as NodeJS.ErrnoException).code === 'EACCES'
    const advice = `; user ${process.geteuid?.()} may not read it, it must belong to the user of the agent`
    return `${systemReason(error)}${isDenied ? advice : ''}`
  }
}

function isOpenToOthers(file: string): boolean {
  return (statSync(file).mode & 0o077) !== 0
}

/**
 * Says at `path` what is wrong with a file, if one is named there; that others can read a secret is a warning. False =
 * something was said.
 */
export function reportFile(
  report: Report,
  path: readonly PropertyKey[],
  file: string | undefined,
  isSecret: boolean,
): boolean {
  if (file === undefined) return true
  const reason = unreadable(file)
  if (reason !== undefined) report(path, `${file} cannot be used: ${reason}`)
  else if (isSecret && isOpenToOthers(file)) report(path, `${file} can be read by other users; chmod 600`, 'warning')
  else return true
  return false
}
