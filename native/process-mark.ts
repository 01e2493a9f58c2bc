/** Names a living process for good: numbers are given anew, in a container and after a boot the same ones. */
import { readFileSync } from 'node:fs'
import { processFacts } from './process-facts.ts'

/** `PID START BOOT`; undefined = there is no such process, or the kernel does not say which boot this is. */
export function processMark(pid: number): string | undefined {
  const facts = processFacts(pid)
  if (facts === undefined) return undefined
  try {
    return `${pid} ${facts.startedAtTicks} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`
  } catch {
    return undefined
  }
}
