/** What /proc says about a process. Everything answers undefined for a process that is gone. */
import { readFileSync } from 'node:fs'

const pageBytes = 4096

export interface ProcessFacts {
  /** Clock ticks since boot at which it started: with the pid it names a process for good. */
  readonly startedAtTicks: number
  readonly isZombie: boolean
}

export function processFacts(pid: number): ProcessFacts | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may hold anything; fields are counted from its end (proc_pid_stat(5): state is 3,
    // starttime 22).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const state = fields[0]
    return { startedAtTicks: Number(fields[19]), isZombie: state === 'Z' || state === 'X' }
  } catch {
    return undefined
  }
}

export function isRunning(pid: number, startedAtTicks: number): boolean {
  const facts = processFacts(pid)
  return facts !== undefined && !facts.isZombie && facts.startedAtTicks === startedAtTicks
}

/** Descriptors that this process may have; Infinity when it is not bounded or not known. */
export function openFilesLimit(): number {
  try {
    const soft = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

export function residentBytes(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * pageBytes
  } catch {
    return undefined
  }
}
