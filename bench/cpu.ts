/**
 * Reads what processes cost: CPU time of all their threads, memory, and what the hypervisor took away meanwhile. Linux
 * only.
 */
import { readFileSync, readdirSync } from 'node:fs'

/**
 * Nanoseconds on CPU of all threads of these processes: first field of schedstat, exact scheduler time
 * (Documentation/scheduler/sched-stats.rst).
 */
export function cpuNanoseconds(pids: readonly number[]): number {
  let total = 0
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0])
      } catch {
        // The thread ended between the listing and the reading; its time is lost, as it is for every peer.
      }
    }
  }
  return total
}

/** Resident memory in bytes, summed over the processes. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + statusBytes(pid, 'VmRSS'), 0)
}

/** The most that the process has ever had resident, bytes. */
export function mostResidentBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM')
}

function statusBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
}

/** Ticks of 10 ms that the hypervisor gave to others, all CPUs. */
export function stolenTicks(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/)
  return Number(fields[8])
}

/** Ticks of 10 ms that a CPU was busy, with whatever. `cpus` as taskset takes them, single numbers with commas. */
export function busyTicks(cpus: string): number {
  const lines = readFileSync('/proc/stat', 'utf8').split('\n')
  let total = 0
  for (const cpu of cpus.split(',')) {
    const fields =
      lines
        .find((line) => line.startsWith(`cpu${cpu} `))
        ?.trim()
        .split(/\s+/)
        .slice(1)
        .map(Number) ?? []
    const [user = 0, nice = 0, system = 0, , , interrupts = 0, soft = 0] = fields
    total += user + nice + system + interrupts + soft
  }
  return total
}
