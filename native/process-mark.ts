/** Names a living process for good: numbers are given anew, in a container and after a boot the same ones. */
import { readFileSync } from 'node:fs'

/** `PID START BOOT`; undefined = there is no such process. */
export function processMark(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // starttime is field 22 (proc_pid_stat(5)), counted from the end of the name, which may hold anything
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${pid} ${start} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`
  } catch {
    return undefined
  }
}
