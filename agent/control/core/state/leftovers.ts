/**
 * Files that a killed process was writing: `NAME.PID.tmp`, and sockets that were not put in their place,
 * `NAME.sock.PID`.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const temporary = /\.(\d{1,10})\.tmp$|\.sock\.(\d{1,10})$/

/** Removes those whose process is gone. Answers their names. A directory that cannot be read has none. */
export function removeLeftovers(directory: string): string[] {
  const removed: string[] = []
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return removed
  }
  for (const name of names) {
    const match = temporary.exec(name)
    const pid = match?.[1] ?? match?.[2]
    // a process of the same number may be a predecessor that still writes
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    try {
      rmSync(join(directory, name), { force: true })
      removed.push(name)
    } catch {
      // read-only: it is in nobody's way
    }
  }
  return removed
}
